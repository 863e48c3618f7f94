//! The user's kubeconfig: `down` restores the current context, which kind does not do.
//!
//! kind itself adds and removes its entries. Only one line is edited here, so that the rest of the file stays as it is.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::user_file;
use content::{Content, read, with_current, without};
use lock::FileLock;

mod content;
mod lock;
#[cfg(test)]
mod tests;

/// The files of a kubeconfig, as kubectl and kind find them.
#[derive(Debug, Clone)]
pub struct Kubeconfig {
    /// As the user wrote them.
    listed: Vec<PathBuf>,
    /// The folder that relative ones are relative to.
    folder: PathBuf,
}

/// The state of a kubeconfig before the cluster was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// The current context, if there was one.
    pub context: Option<String>,
    /// The file that contained it.
    pub file: Option<PathBuf>,
    /// Files that did not exist.
    pub absent: Vec<PathBuf>,
    /// Folders that did not exist, innermost first.
    pub absent_folders: Vec<PathBuf>,
    /// The folder that relative paths in `KUBECONFIG` were relative to, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// The file that kind adds its entries to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<PathBuf>,
    /// Whether there was a context of the name that is current.
    #[serde(default)]
    pub defined: Defined,
}

/// Whether a current context is defined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Defined {
    /// In one of the files.
    #[default]
    Somewhere,
    /// In none.
    Nowhere,
}

/// What became of the file that kind had written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// It is as before, or the user has changed it since.
    Done,
    /// The user's `KUBECONFIG` does not name it any more, so it was not opened.
    NotNamed(PathBuf),
}

impl Kubeconfig {
    /// Returns the files in `variable` (the value of `KUBECONFIG`), or else `.kube/config` in `home`. Relative ones are
    /// relative to `folder`.
    #[must_use]
    pub fn locate(variable: Option<&str>, home: &Path, folder: &Path) -> Self {
        let mut listed: Vec<PathBuf> = Vec::new();
        for path in variable.map(std::env::split_paths).into_iter().flatten() {
            if path != PathBuf::new() && !listed.contains(&path) {
                listed.push(path);
            }
        }
        if listed.is_empty() {
            listed.push(home.join(".kube/config"));
        }
        Self {
            listed,
            folder: folder.to_owned(),
        }
    }

    /// Returns the value of `KUBECONFIG` for kind: it looks in the current folder where `HOME` is not set.
    #[must_use]
    pub fn variable(&self) -> Option<String> {
        let all = std::env::join_paths(self.files()).ok()?;
        all.into_string().ok()
    }

    fn files(&self) -> Vec<PathBuf> {
        let listed = self.listed.iter();
        listed.map(|file| self.folder.join(file)).collect()
    }

    /// Returns the files by the folder in which `up` ran. The record says only which folder that was: the files are
    /// those that the user names today.
    fn as_of(&self, original: &Original) -> Self {
        let folder = original.folder.as_ref();
        let folder = folder.filter(|folder| folder.is_absolute());
        Self {
            listed: self.listed.clone(),
            folder: folder.unwrap_or(&self.folder).clone(),
        }
    }

    /// Checks that kind can add its entries. kind truncates the file before it writes, so a failure would lose its
    /// content.
    ///
    /// # Errors
    /// The file, or a temporary file beside it, can't be written, or the disk is full.
    pub fn check_writable(&self) -> Result<()> {
        let Some(file) = self.written_by_kind() else {
            return Ok(());
        };
        trial(&file).with_context(|| {
            Problem::new(
                format!("can't write the kubeconfig {}", file.display()),
                "fix its owner and mode, or set KUBECONFIG to another file",
            )
        })
    }

    /// Returns the file that kind writes to: the first that exists, or else the last of the list:
    /// <https://github.com/kubernetes-sigs/kind/blob/v0.33.0/pkg/cluster/internal/kubeconfig/internal/kubeconfig/paths.go#L60>.
    fn written_by_kind(&self) -> Option<PathBuf> {
        let mut files = self.files();
        let last = files.pop();
        files.into_iter().find(|file| file.is_file()).or(last)
    }

    /// Returns the current state, for [`Self::restore`].
    ///
    /// # Errors
    /// A file can't be read, or is not a kubeconfig.
    pub fn original(&self) -> Result<Original> {
        let is_relative = self.listed.iter().any(|file| file.is_relative());
        let mut original = Original {
            context: None,
            file: None,
            absent: Vec::new(),
            absent_folders: Vec::new(),
            folder: is_relative.then(|| self.folder.clone()),
            written: self.written_by_kind(),
            defined: Defined::default(),
        };
        for file in self.files() {
            match read(&file)? {
                None => {
                    let folders = file.ancestors().skip(1);
                    let absent = folders.take_while(|folder| !folder.exists());
                    for folder in absent.map(Path::to_owned) {
                        if !original.absent_folders.contains(&folder) {
                            original.absent_folders.push(folder);
                        }
                    }
                    original.absent.push(file);
                }
                Some(content) if original.context.is_none() => {
                    original.context = content.current().map(str::to_owned);
                    original.file = original.context.is_some().then_some(file);
                }
                Some(_) => {}
            }
        }
        if let Some(context) = &original.context
            && !self.defines(context)?
        {
            original.defined = Defined::Nowhere;
        }
        Ok(original)
    }

    /// Restores the original state: the current context, if it is `ours` or none now; files and folders that did not
    /// exist are removed if they are empty. Opens no file that the user's own `KUBECONFIG` does not name.
    ///
    /// # Errors
    /// A file can't be locked, read, written or removed.
    pub fn restore(&self, original: &Original, ours: &str) -> Result<Restored> {
        let then = self.as_of(original);
        let (files, today) = (then.files(), self.files());
        // kind has removed its entries only from the files that it finds from the folder of today.
        for file in files.iter().filter(|file| !today.contains(file)) {
            forget(file, ours)?;
        }
        if let (Some(context), Some(file)) = (&original.context, &original.file)
            && files.contains(file)
        {
            let _guard = FileLock::take(file)?;
            if then.may_restore(original, context, file, ours)? {
                write(file, &with_current(&fs::read_to_string(file)?, context))?;
            }
        }
        for file in files.iter().filter(|file| original.absent.contains(file)) {
            let _guard = if file.exists() {
                Some(FileLock::take(file)?)
            } else {
                None
            };
            if read(file)?.is_some_and(|content| content.is_empty()) {
                user_file::remove(file)
                    .with_context(|| format!("can't remove {}", file.display()))?;
            }
        }
        for folder in &original.absent_folders {
            if files.iter().any(|file| file.starts_with(folder)) {
                // Fails if the folder is not empty: kindreg put nothing else there.
                let _ = fs::remove_dir(folder);
            }
        }
        Ok(match &original.written {
            Some(written) if !files.contains(written) => Restored::NotNamed(written.clone()),
            Some(_) | None => Restored::Done,
        })
    }

    /// Returns whether the user has chosen no other context since: in this file, or in one before it, which wins.
    fn may_restore(
        &self,
        original: &Original,
        context: &str,
        file: &Path,
        ours: &str,
    ) -> Result<bool> {
        if read(file)?.is_none() {
            return Ok(false);
        }
        for earlier in self.files() {
            let found = read(&earlier)?;
            let current = found.as_ref().and_then(Content::current);
            if current.is_some_and(|current| current != ours) {
                return Ok(false);
            }
            if earlier == file {
                break;
            }
        }
        // Nobody misses a context that is gone, unless it was never there.
        Ok(original.defined == Defined::Nowhere || self.defines(context)?)
    }

    /// Returns whether a context is defined in any of the files.
    fn defines(&self, context: &str) -> Result<bool> {
        for file in self.files() {
            if read(&file)?.is_some_and(|content| content.names(context)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Removes the entries of a cluster from a file, as kind does.
fn forget(file: &Path, ours: &str) -> Result<()> {
    if read(file)?.is_none() {
        return Ok(());
    }
    let _guard = FileLock::take(file)?;
    let text = fs::read_to_string(file)?;
    match without(&text, ours)? {
        Some(text) => write(file, &text),
        None => Ok(()),
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    user_file::replace(file, text.as_bytes())
        .with_context(|| format!("can't write the kubeconfig {}", file.display()))
}

/// The most bytes that kind's entries of one cluster take: three certificates and a key are 5.7 KB in kind 0.33.
const ENTRIES: u64 = 16 * 1024;

/// Writes as many bytes as the file will have to a nameless file beside it; for a link, beside its target.
fn trial(file: &Path) -> io::Result<()> {
    let file = &fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let size = match fs::OpenOptions::new().append(true).open(file) {
        Ok(present) => present.metadata()?.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let mut folders = file.ancestors().skip(1);
    let folder = folders.find(|folder| folder.is_dir());
    let mut nameless = tempfile::tempfile_in(folder.unwrap_or(Path::new(".")))?;
    io::copy(&mut io::repeat(0).take(size + ENTRIES), &mut nameless)?;
    Ok(())
}
