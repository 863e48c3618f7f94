//! The file that says whether a `kind create` is at work: its standard input, locked.
//!
//! flock(2) belongs to the open file description, which kind shares: the lock lasts for as long as either process has
//! it, and `kill -9` on kindreg does not end it. kind's children get another standard input, so they don't hold it.
//! Nothing here may know kind.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A locked file.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Locks the file at a path, making it if need be. `None` where another process holds it.
    pub(super) fn take(path: PathBuf) -> io::Result<Option<Self>> {
        Self::open(
            OpenOptions::new().create(true).truncate(false).mode(0o600),
            path,
        )
    }

    /// Locks the file at a path. `None` where another process holds it, or there is none.
    pub(super) fn take_existing(path: PathBuf) -> io::Result<Option<Self>> {
        match Self::open(&mut OpenOptions::new(), path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            taken => taken,
        }
    }

    /// Whether a process holds the file at a path. (Two that look don't see each other: their locks are shared.)
    pub(super) fn is_held(path: &Path) -> io::Result<bool> {
        match File::open(path).map(|file| file.try_lock_shared()) {
            Ok(Err(TryLockError::WouldBlock)) => Ok(true),
            Ok(Ok(())) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Ok(Err(TryLockError::Error(error))) | Err(error) => Err(error),
        }
    }

    fn open(options: &mut OpenOptions, path: PathBuf) -> io::Result<Option<Self>> {
        loop {
            let file = options.read(true).write(true).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Its holder may have removed it between our open and our lock: then it locks nothing any more.
            let locked = file.metadata()?.ino();
            if path.metadata().is_ok_and(|there| there.ino() == locked) {
                return Ok(Some(Self { file, path }));
            }
        }
    }

    /// Replaces what is in the file, and gives it as a child's standard input: the child then holds the lock too.
    pub(super) fn filled(&mut self, content: &str) -> io::Result<Stdio> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(content.as_bytes())?;
        self.file.rewind()?;
        self.file.try_clone().map(Stdio::from)
    }

    /// Removes the file and gives up the lock.
    pub(super) fn remove(self) {
        std::fs::remove_file(&self.path).ok();
    }
}
