//! Where the Docker engine is: the same answer as the docker program's, in the same order.
//!
//! Reads files and a given environment, never the process's own; opens no connection. The order is that of
//! <https://github.com/docker/cli/blob/master/cli/command/cli.go> (`resolveContextName`): an explicit host, then
//! `DOCKER_HOST`, then `DOCKER_CONTEXT`, then the `currentContext` of docker's configuration, then the default socket.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// Address of a Docker engine, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineAddress {
    /// `unix://PATH` or `tcp://HOST:PORT`.
    pub host: String,
    /// Certificates for TLS; `None` is a plain connection. Never with a socket.
    pub tls: Option<TlsFiles>,
    /// What named it.
    pub origin: Origin,
}

/// A folder with `ca.pem`, `cert.pem` and `key.pem`, the names that docker uses everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The folder.
    pub folder: PathBuf,
}

impl TlsFiles {
    /// The CA that signed the engine's certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The client's certificate; may be absent.
    #[must_use]
    pub fn cert(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    /// The client's private key; may be absent.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }
}

/// What named the engine's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `--docker-host`.
    Flag,
    /// `DOCKER_HOST`.
    Variable,
    /// This docker context.
    Context(String),
    /// Nobody: docker's default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("--docker-host"),
            Self::Variable => f.write_str("DOCKER_HOST"),
            Self::Context(name) => write!(f, "docker context {name}"),
            Self::Default => f.write_str("docker's default"),
        }
    }
}

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// An engine behind ssh.
    #[error(
        "{host} ({origin}) is reached by ssh, which kindreg does not speak; forward its socket \
         (ssh -fnNT -L /tmp/docker.sock:/var/run/docker.sock {destination}) and use --docker-host unix:///tmp/docker.sock"
    )]
    Ssh {
        /// What was asked for.
        host: String,
        /// What ssh takes for it.
        destination: String,
        /// What named it.
        origin: Origin,
    },
    /// Neither a socket nor TCP.
    #[error("{host} ({origin}) is no address of a Docker engine: unix://PATH or tcp://HOST:PORT")]
    Unsupported {
        /// What was asked for.
        host: String,
        /// What named it.
        origin: Origin,
    },
    /// The context is not there.
    #[error("there is no docker context {name} (docker context ls lists them)")]
    NoContext {
        /// Its name.
        name: String,
    },
    /// A file of docker's can't be read or understood.
    #[error("can't read {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Docker's configuration folder: `$DOCKER_CONFIG`, or `.docker` in the home folder.
#[must_use]
pub fn docker_config(env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    set(env, "DOCKER_CONFIG").map_or_else(
        || Path::new(&set(env, "HOME").unwrap_or_default()).join(".docker"),
        PathBuf::from,
    )
}

/// Finds the engine that the docker program would use with this `--docker-host`, environment and configuration folder.
///
/// An empty variable counts as unset, as it does for docker. TLS is always verified, even where `DOCKER_TLS` alone or
/// the context (`SkipTLSVerify`) would do without.
pub fn resolve(
    flag: Option<&str>,
    env: &dyn Fn(&str) -> Option<String>,
    docker_config: &Path,
) -> Result<EngineAddress, AddressError> {
    let tls = || {
        (set(env, "DOCKER_TLS_VERIFY").is_some() || set(env, "DOCKER_TLS").is_some()).then(|| {
            TlsFiles {
                folder: set(env, "DOCKER_CERT_PATH")
                    .map_or_else(|| docker_config.to_path_buf(), PathBuf::from),
            }
        })
    };
    if let Some(host) = flag {
        return address(host, tls(), Origin::Flag);
    }
    if let Some(host) = set(env, "DOCKER_HOST") {
        return address(&host, tls(), Origin::Variable);
    }
    let context = match set(env, "DOCKER_CONTEXT") {
        Some(name) => Some(name),
        None => current_context(docker_config)?,
    };
    match context {
        Some(name) if name != "default" => from_context(&name, docker_config),
        _ => address(DEFAULT_HOST, None, Origin::Default),
    }
}

impl EngineAddress {
    /// The variables under which the docker program, and kind with it, uses this engine.
    ///
    /// All of them must be set on the child, the empty ones too: docker takes an empty variable for an unset one, so
    /// they cancel what the child would inherit. `DOCKER_HOST` also beats a `currentContext`.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let (verify, folder) = match &self.tls {
            Some(tls) => ("1", tls.folder.to_string_lossy().into_owned()),
            None => ("", String::new()),
        };
        [
            ("DOCKER_HOST", self.host.clone()),
            ("DOCKER_CONTEXT", String::new()),
            ("DOCKER_TLS", String::new()),
            ("DOCKER_TLS_VERIFY", verify.to_owned()),
            ("DOCKER_CERT_PATH", folder),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// A variable that is set and not empty.
fn set(env: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    env(name).filter(|value| !value.is_empty())
}

/// Brings a host as people write it into one form; without a scheme it is TCP, as docker has it.
fn address(
    host: &str,
    tls: Option<TlsFiles>,
    origin: Origin,
) -> Result<EngineAddress, AddressError> {
    let (scheme, rest) = host.split_once("://").unwrap_or(("tcp", host));
    let rest = rest.trim_end_matches('/');
    match scheme {
        "unix" if rest.is_empty() => Ok(EngineAddress {
            host: DEFAULT_HOST.to_owned(),
            tls: None,
            origin,
        }),
        "unix" if rest.starts_with('/') => Ok(EngineAddress {
            host: format!("unix://{rest}"),
            tls: None,
            origin,
        }),
        "tcp" if !rest.is_empty() && !rest.contains('/') => {
            let port = if tls.is_some() { 2376 } else { 2375 };
            let host = if has_port(rest) {
                format!("tcp://{rest}")
            } else {
                format!("tcp://{rest}:{port}")
            };
            Ok(EngineAddress { host, tls, origin })
        }
        "ssh" => Err(AddressError::Ssh {
            host: host.to_owned(),
            destination: rest.to_owned(),
            origin,
        }),
        _ => Err(AddressError::Unsupported {
            host: host.to_owned(),
            origin,
        }),
    }
}

/// Whether `HOST:PORT` has its port; the colons of `[::1]` are none.
fn has_port(authority: &str) -> bool {
    authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.contains(']'))
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Endpoint,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    host: Option<String>,
}

fn current_context(docker_config: &Path) -> Result<Option<String>, AddressError> {
    let config: Option<Config> = json(docker_config.join("config.json"))?;
    Ok(config
        .and_then(|config| config.current_context)
        .filter(|name| !name.is_empty()))
}

/// Contexts lie under the hash of their name:
/// <https://github.com/docker/cli/blob/master/cli/context/store/metadatastore.go> (`contextdirOf`).
fn from_context(name: &str, docker_config: &Path) -> Result<EngineAddress, AddressError> {
    let contexts = docker_config.join("contexts");
    let folder = hex::encode(Sha256::digest(name));
    let meta: Meta =
        json(contexts.join("meta").join(&folder).join("meta.json"))?.ok_or_else(|| {
            AddressError::NoContext {
                name: name.to_owned(),
            }
        })?;
    let files = contexts.join("tls").join(&folder).join("docker");
    let tls = files.is_dir().then_some(TlsFiles { folder: files });
    let host = meta.endpoints.docker.host.unwrap_or_default();
    let host = if host.is_empty() { DEFAULT_HOST } else { &host };
    address(host, tls, Origin::Context(name.to_owned()))
}

/// A JSON file, or `None` where it is absent.
fn json<T: serde::de::DeserializeOwned>(path: PathBuf) -> Result<Option<T>, AddressError> {
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(AddressError::File { path, source }),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| AddressError::File {
            path,
            source: error.into(),
        })
}

#[cfg(test)]
mod tests;
