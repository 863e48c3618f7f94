//! The lock file that shows whether a `kind create` is running: it is kind's standard input.
//!
//! flock(2) locks the open file description, which kind shares: the lock lasts until both processes have closed it, and
//! `kill -9` on kindreg does not release it. kind's children have another standard input, so they don't hold it.

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
    /// Locks the file at a path, which is created if it is missing. Returns `None` if another process holds the lock.
    pub(super) fn take(path: PathBuf) -> io::Result<Option<Self>> {
        Self::open(
            OpenOptions::new().create(true).truncate(false).mode(0o600),
            path,
        )
    }

    /// Locks the file at a path. Returns `None` if another process holds the lock, or there is no file.
    pub(super) fn take_existing(path: PathBuf) -> io::Result<Option<Self>> {
        match Self::open(&mut OpenOptions::new(), path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            taken => taken,
        }
    }

    /// Returns whether a process holds the lock of the file at a path. It takes a shared lock for that, so that two
    /// processes may check at the same time.
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
            // Its holder may have removed the file between `open` and `try_lock`: then this lock protects nothing.
            let locked = file.metadata()?.ino();
            if path.metadata().is_ok_and(|there| there.ino() == locked) {
                return Ok(Some(Self { file, path }));
            }
        }
    }

    /// Replaces the file's content, and returns it as a child's standard input: the child then holds the lock too.
    pub(super) fn filled(&mut self, content: &str) -> io::Result<Stdio> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(content.as_bytes())?;
        self.file.rewind()?;
        self.file.try_clone().map(Stdio::from)
    }

    /// Removes the file and releases the lock.
    pub(super) fn remove(self) {
        std::fs::remove_file(&self.path).ok();
    }
}
