//! The user's docker config, which docker, crane, skopeo, oras and helm read.
//!
//! As `docker login` does, a credential helper that the file names gets the password; without one it goes into the
//! file. Everything else in the file stays as it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::credentials::{CredentialsError, RegistryCredentials};
use file::{ConfigFile, Edit};
use helper::Helper;

mod file;
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
    /// The helper hangs, or the user has stopped waiting for it.
    #[error("{program}: {why}")]
    NoAnswer {
        /// The helper's program.
        program: String,
        /// Why nobody waits any longer.
        why: String,
    },
    /// Other programs write the file all the time.
    #[error("can't change {}: other programs keep writing to it", .0.display())]
    Busy(PathBuf),
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
    file: ConfigFile,
    path: Option<OsString>,
    limit: Duration,
    stop: CancellationToken,
}

/// How long a helper may take by default: a keychain may prompt its user.
const LIMIT: Duration = Duration::from_secs(120);

impl DockerConfig {
    /// Returns the config in `folder` (`~/.docker`). `path` is the value of `PATH`, in which helpers are looked up.
    #[must_use]
    pub fn of(folder: &Path, path: Option<OsString>) -> Self {
        Self {
            file: ConfigFile(folder.join("config.json")),
            path,
            limit: LIMIT,
            stop: CancellationToken::new(),
        }
    }

    /// Returns the config with another time limit for each call of a helper.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Returns the config with a token that ends the wait for a helper.
    #[must_use]
    pub fn with_stop(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// Returns the user and the secret for a domain, or `None`. If the user is [`TOKEN`], the secret is an identity
    /// token.
    ///
    /// # Errors
    /// The file can't be read, or the helper fails or is missing.
    pub async fn get(&self, domain: &str) -> Result<Option<(String, SecretString)>> {
        let config = self.file.config()?;
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
        let config = self.file.config()?;
        let helper = self.helper(&config, domain);
        Ok(helper.map_or_else(|| plain(&config, domain), |_| None))
    }

    /// Returns whether it has exactly these credentials for a domain.
    pub async fn has(&self, domain: &str, credentials: &RegistryCredentials) -> Result<bool> {
        let found = self.get(domain).await?;
        Ok(found.is_some_and(|found| is_same(&found, credentials)))
    }

    /// Stores credentials for a domain, as `docker login` does, and returns where.
    pub async fn store(&self, domain: &str, credentials: &RegistryCredentials) -> Result<Place> {
        let config = self.file.config()?;
        let (place, entry) = if let Some(helper) = self.helper(&config, domain) {
            helper
                .store(domain, credentials.user(), credentials.password())
                .await?;
            // docker adds this empty entry, by which `docker logout` knows of the login.
            (Place::Helper(helper.program()), json!({}))
        } else {
            let entry = json!({"auth": credentials.basic().expose_secret()});
            (Place::File(self.file.path().to_owned()), entry)
        };
        self.file.edit(|config| {
            let auths = config.entry("auths").or_insert_with(|| json!({}));
            if auths.get(domain) == Some(&entry) {
                return Edit::Same;
            }
            auths[domain] = entry.clone();
            Edit::Changed
        })?;
        Ok(place)
    }

    /// Removes the credentials for a domain if they are among `ours`, as `docker logout` does, and returns whether they
    /// were. A file that is then empty is removed.
    pub async fn erase_ours(&self, domain: &str, ours: &[RegistryCredentials]) -> Result<bool> {
        let config = self.file.config()?;
        let helper = self.helper(&config, domain);
        let found = match &helper {
            Some(helper) => helper.get(domain).await?,
            None => plain(&config, domain),
        };
        let is_ours = |found: &(String, SecretString)| ours.iter().any(|one| is_same(found, one));
        if !found.as_ref().is_some_and(is_ours) {
            return Ok(false);
        }
        if let Some(helper) = &helper {
            helper.erase(domain).await?;
        }
        self.file.edit(|config| {
            let Some(auths) = config.get_mut("auths").and_then(Value::as_object_mut) else {
                return Edit::Same;
            };
            let before = auths.len();
            auths.retain(|key, entry| {
                let is_empty = entry.as_object().is_some_and(Map::is_empty);
                let goes = match credentials(entry) {
                    Some(found) => is_ours(&found),
                    // The mark of a login that a helper has.
                    None => helper.is_some() && is_empty,
                };
                !(goes && host_of(key) == domain)
            });
            if auths.len() == before {
                Edit::Same
            } else {
                Edit::Changed
            }
        })?;
        Ok(true)
    }

    /// Returns the helper for a domain, in docker's order: the domain's own helper, then the one for all domains.
    fn helper(&self, config: &Map<String, Value>, domain: &str) -> Option<Helper> {
        let special = config.get("credHelpers").and_then(|all| all.get(domain));
        let name = special.or_else(|| config.get("credsStore"))?.as_str()?;
        (!name.is_empty()).then(|| Helper {
            name: name.to_owned(),
            path: self.path.clone(),
            limit: self.limit,
            stop: self.stop.clone(),
        })
    }
}

fn is_same((user, secret): &(String, SecretString), credentials: &RegistryCredentials) -> bool {
    user == credentials.user() && secret.expose_secret() == credentials.password().expose_secret()
}

/// Returns the user and the secret for a domain from the file itself. An entry under the domain counts before one under
/// a URL, which old versions of docker wrote:
/// <https://github.com/docker/cli/blob/v29.0.0/cli/config/credentials/file_store.go>.
fn plain(config: &Map<String, Value>, domain: &str) -> Option<(String, SecretString)> {
    let auths = config.get("auths")?.as_object()?;
    if let Some(entry) = auths.get(domain) {
        return credentials(entry);
    }
    let (_, entry) = auths.iter().find(|(key, _)| host_of(key) == domain)?;
    credentials(entry)
}

/// Returns the host and port of a key of `auths`, which may be a URL.
fn host_of(key: &str) -> &str {
    let rest = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let rest = rest.unwrap_or(key);
    rest.split_once('/').map_or(rest, |(host, _)| host)
}

/// Returns the user and the secret of an entry.
fn credentials(entry: &Value) -> Option<(String, SecretString)> {
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
