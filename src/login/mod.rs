//! The user's docker config, which docker, crane, skopeo, oras and helm read.
//!
//! As `docker login` does, a credential helper that the file names gets the password; without one it goes into the
//! file. Everything else in the file stays as it is.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use crate::credentials::{CredentialsError, RegistryCredentials, auths};
use crate::user_file;
use helper::Helper;

mod helper;
mod sources;
#[cfg(test)]
mod tests;

pub use sources::{CredentialSources, missing};

/// Why docker's config can't be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Docker's config names a helper that is not installed.
    #[error("docker's config names the credential helper {0}, which is not in PATH")]
    NoHelper(String),
    /// The helper failed.
    #[error("{program}: {said}")]
    Helper {
        /// The helper's program.
        program: String,
        /// Its output.
        said: String,
    },
    /// The file is not a docker config.
    #[error("can't read {}: {cause}", file.display())]
    Config {
        /// The file.
        file: PathBuf,
        /// The reason.
        cause: CredentialsError,
    },
    /// The file can't be read or written.
    #[error("can't read or write {}: {cause}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The reason.
        cause: std::io::Error,
    },
}

/// The user name that docker's config and its helpers give to an identity token:
/// <https://github.com/docker/docker-credential-helpers#development>.
pub const TOKEN: &str = "<token>";

/// Result of reading or changing docker's config.
pub type Result<T> = std::result::Result<T, LoginError>;

/// Where a password is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In docker's config itself.
    File(PathBuf),
    /// In a credential helper, by its program's name.
    Helper(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Helper(program) => f.write_str(program),
        }
    }
}

/// Docker's config of one user.
#[derive(Debug, Clone)]
pub struct DockerConfig {
    file: PathBuf,
    path: Option<OsString>,
}

impl DockerConfig {
    /// Returns the config in `folder` (`~/.docker`). `path` is the value of `PATH`, in which helpers are looked up.
    #[must_use]
    pub fn of(folder: &Path, path: Option<OsString>) -> Self {
        let file = folder.join("config.json");
        Self { file, path }
    }

    /// Returns the user and the secret for a domain, or `None`. If the user is [`TOKEN`], the secret is an identity
    /// token.
    ///
    /// # Errors
    /// The file can't be read, or the helper fails or is missing.
    pub async fn get(&self, domain: &str) -> Result<Option<(String, SecretString)>> {
        let config = self.parsed(&self.read()?)?;
        match self.helper(&config, domain) {
            Some(helper) => helper.get(domain).await,
            None => Ok(plain(&config, domain)),
        }
    }

    /// Returns the user and the secret in the file itself; `None` if there are none or a helper has them.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn without_helper(&self, domain: &str) -> Result<Option<(String, SecretString)>> {
        let config = self.parsed(&self.read()?)?;
        let helper = self.helper(&config, domain);
        Ok(helper.map_or_else(|| plain(&config, domain), |_| None))
    }

    /// Returns whether it has exactly these credentials for a domain.
    pub async fn has(&self, domain: &str, credentials: &RegistryCredentials) -> Result<bool> {
        let found = self.get(domain).await?;
        Ok(found.is_some_and(|(user, secret)| {
            user == credentials.user()
                && secret.expose_secret() == credentials.password().expose_secret()
        }))
    }

    /// Stores credentials for a domain, as `docker login` does, and returns where.
    pub async fn store(&self, domain: &str, credentials: &RegistryCredentials) -> Result<Place> {
        let text = self.read()?;
        let mut config = self.parsed(&text)?;
        let (place, entry) = if let Some(helper) = self.helper(&config, domain) {
            helper
                .store(domain, credentials.user(), credentials.password())
                .await?;
            // docker adds this empty entry, by which `docker logout` knows of the login.
            (Place::Helper(helper.program()), json!({}))
        } else {
            let entry = json!({"auth": credentials.basic().expose_secret()});
            (Place::File(self.file.clone()), entry)
        };
        let auths = config.entry("auths").or_insert_with(|| json!({}));
        if auths.get(domain) != Some(&entry) {
            auths[domain] = entry;
            self.write(&text, &config)?;
        }
        Ok(place)
    }

    /// Removes the credentials for a domain, as `docker logout` does, and removes a file that is then empty.
    pub async fn erase(&self, domain: &str) -> Result<()> {
        let text = self.read()?;
        let mut config = self.parsed(&text)?;
        if let Some(helper) = self.helper(&config, domain) {
            helper.erase(domain).await?;
        }
        let auths = config.get_mut("auths").and_then(Value::as_object_mut);
        let Some(auths) = auths.filter(|auths| auths.contains_key(domain)) else {
            return Ok(());
        };
        auths.shift_remove(domain);
        if auths.is_empty() && config.len() == 1 {
            fs::remove_file(&self.file).map_err(|cause| self.io(cause))?;
            if let Some(folder) = self.file.parent() {
                // Fails if anything else is in the folder.
                let _ = fs::remove_dir(folder);
            }
            return Ok(());
        }
        self.write(&text, &config)
    }

    /// Removes the credentials for a domain if they are among `ours`, and returns whether they were.
    pub async fn erase_ours(&self, domain: &str, ours: &[RegistryCredentials]) -> Result<bool> {
        for credentials in ours {
            if self.has(domain, credentials).await? {
                self.erase(domain).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the helper for a domain, in docker's order: the domain's own helper, then the one for all domains.
    fn helper(&self, config: &Map<String, Value>, domain: &str) -> Option<Helper> {
        let special = config.get("credHelpers").and_then(|all| all.get(domain));
        let name = special.or_else(|| config.get("credsStore"))?.as_str()?;
        let (name, path) = (name.to_owned(), self.path.clone());
        (!name.is_empty()).then_some(Helper { name, path })
    }

    fn read(&self) -> Result<Vec<u8>> {
        match fs::read(&self.file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(|cause| self.io(cause)),
        }
    }

    fn parsed(&self, text: &[u8]) -> Result<Map<String, Value>> {
        auths::read(text).map_err(|cause| LoginError::Config {
            file: self.file.clone(),
            cause,
        })
    }

    fn write(&self, before: &[u8], config: &Map<String, Value>) -> Result<()> {
        let text = auths::write(before, config);
        user_file::replace(&self.file, text.expose_secret().as_bytes())
            .map_err(|cause| self.io(cause))
    }

    fn io(&self, cause: std::io::Error) -> LoginError {
        let file = self.file.clone();
        LoginError::Io { file, cause }
    }
}

/// Returns the user and the secret for a domain from the file itself.
fn plain(config: &Map<String, Value>, domain: &str) -> Option<(String, SecretString)> {
    let entry = config.get("auths")?.get(domain)?;
    let text = |key: &str| entry[key].as_str().filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Some((TOKEN.to_owned(), token.to_owned().into()));
    }
    if let Some(pair) = text("username").zip(text("password")) {
        return Some((pair.0.to_owned(), pair.1.to_owned().into()));
    }
    let user = RegistryCredentials::from_basic(text("auth")?)?;
    Some((user.user().to_owned(), user.password().clone()))
}
