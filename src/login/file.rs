//! The file of docker's config, which docker and its desktop application may write at any time.

use std::fs;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use serde_json::{Map, Value};

use super::{LoginError, Result};
use crate::credentials::auths;
use crate::user_file::{self, Exchanged};

/// How often a change is made again because another program wrote meanwhile.
const TRIES: usize = 20;

/// What a change made of the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    /// The same: nothing is written.
    Same,
    /// Something else.
    Changed,
}

/// The path of docker's config.
#[derive(Debug, Clone)]
pub(super) struct ConfigFile(pub(super) PathBuf);

impl ConfigFile {
    /// Returns the config; an empty one if there is no file.
    pub(super) fn config(&self) -> Result<Map<String, Value>> {
        self.parsed(&self.text()?)
    }

    /// Applies a change to what the file has now. If another program writes between the reading and the writing, the
    /// change is applied to what that program wrote. A file in which nothing is left is removed, unless it is a link.
    pub(super) fn edit(&self, change: impl Fn(&mut Map<String, Value>) -> Edit) -> Result<()> {
        for _ in 0..TRIES {
            let text = self.text()?;
            let mut config = self.parsed(&text)?;
            if change(&mut config) == Edit::Same {
                return Ok(());
            }
            let written = if is_nothing(&config) && !self.0.is_symlink() {
                self.remove(&text)
            } else {
                let new = auths::write(&text, &config);
                user_file::exchange(&self.0, &text, new.expose_secret().as_bytes())
            };
            match written.map_err(|cause| self.io(cause))? {
                Exchanged::Done => return Ok(()),
                Exchanged::ChangedMeanwhile => {}
            }
        }
        Err(LoginError::Busy(self.0.clone()))
    }

    fn remove(&self, before: &[u8]) -> std::io::Result<Exchanged> {
        if fs::read(&self.0)? != before {
            return Ok(Exchanged::ChangedMeanwhile);
        }
        fs::remove_file(&self.0)?;
        if let Some(folder) = self.0.parent() {
            // Fails if anything else is in the folder.
            let _ = fs::remove_dir(folder);
        }
        Ok(Exchanged::Done)
    }

    fn text(&self) -> Result<Vec<u8>> {
        match fs::read(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(|cause| self.io(cause)),
        }
    }

    fn parsed(&self, text: &[u8]) -> Result<Map<String, Value>> {
        auths::read(text).map_err(|cause| LoginError::Config {
            file: self.0.clone(),
            cause,
        })
    }

    fn io(&self, cause: std::io::Error) -> LoginError {
        let file = self.0.clone();
        LoginError::Io { file, cause }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// Returns whether a config has empty `auths` and nothing else.
fn is_nothing(config: &Map<String, Value>) -> bool {
    let auths = config.get("auths").and_then(Value::as_object);
    config.len() == 1 && auths.is_some_and(Map::is_empty)
}
