//! Finds the address of the Docker engine as the docker program does.
//!
//! It reads files and a given environment, never that of the process, and opens no connection. The order is that of
//! <https://github.com/docker/cli/blob/master/cli/command/cli.go> (`resolveContextName`): an explicit host, then
//! `DOCKER_HOST`, then `DOCKER_CONTEXT`, then the `currentContext` of docker's configuration, then the default socket.

use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

mod ssh;

pub use ssh::SshHost;

const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// Address of a Docker engine, and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineAddress {
    /// `unix://PATH`, `tcp://HOST:PORT`, or `ssh://[USER@]HOST[:PORT][/PATH]`.
    pub host: String,
    /// The way to it.
    pub route: Route,
    /// Where the address was set.
    pub origin: Origin,
}

/// The way to a Docker engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// A socket of this machine.
    Socket,
    /// TCP without encryption.
    Tcp,
    /// TCP with TLS.
    Tls(TlsFiles),
    /// A socket of another machine, through ssh.
    Ssh(SshHost),
}

/// The machine that `localhost:PORT` is on, as the engine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// This machine, as far as the address tells.
    Here,
    /// Another machine.
    There {
        /// Its name or address.
        host: String,
        /// The arguments with which ssh goes there.
        ssh: String,
    },
}

/// A folder with `ca.pem`, `cert.pem` and `key.pem`, the names that docker uses everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The folder.
    pub folder: PathBuf,
}

impl TlsFiles {
    /// Returns the file of the CA that signed the engine's certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Returns the file of the client's certificate, which may be absent.
    #[must_use]
    pub fn cert(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    /// Returns the file of the client's private key, which may be absent.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }
}

/// Where the engine's address was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `--docker-host`.
    Flag,
    /// `DOCKER_HOST`.
    Variable,
    /// This docker context.
    Context(String),
    /// Nowhere: it is docker's default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("--docker-host"),
            Self::Variable => f.write_str("DOCKER_HOST"),
            Self::Context(name) => write!(f, "docker context {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Why the engine's address can't be found or used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Neither a socket nor TCP nor ssh.
    #[error(
        "invalid Docker host {host} ({origin}): must be unix://PATH, tcp://HOST:PORT or ssh://[USER@]HOST[:PORT]"
    )]
    Unsupported {
        /// The address as it was set.
        host: String,
        /// Where the address was set.
        origin: Origin,
    },
    /// The docker context does not exist.
    #[error("docker context {name} does not exist")]
    NoContext {
        /// Its name.
        name: String,
    },
    /// A file of docker can't be read or parsed.
    #[error("can't read {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// Returns docker's configuration folder: `$DOCKER_CONFIG`, or `.docker` in the home folder.
#[must_use]
pub fn docker_config(env: &dyn Fn(&str) -> Option<String>, home: &Path) -> PathBuf {
    set(env, "DOCKER_CONFIG").map_or_else(|| home.join(".docker"), PathBuf::from)
}

/// Finds the engine that the docker program would use with this `--docker-host` (`flag`), environment and configuration
/// folder.
///
/// An empty variable counts as unset, as in docker. TLS is always verified, even with `DOCKER_TLS` alone or
/// `SkipTLSVerify` in the context.
///
/// # Errors
/// The address is unsupported, the context does not exist, or a file of docker can't be read.
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
    /// Returns the machine that `localhost` is on for the engine.
    #[must_use]
    pub fn side(&self) -> Side {
        let host = match &self.route {
            Route::Socket => return Side::Here,
            Route::Ssh(ssh) => {
                return Side::There {
                    host: ssh.host.clone(),
                    ssh: ssh.to_string(),
                };
            }
            Route::Tcp | Route::Tls(_) => self.host.trim_start_matches("tcp://"),
        };
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        let host = host.trim_matches(['[', ']']);
        let loopback = host
            .parse()
            .map_or(host == "localhost", |ip: IpAddr| ip.is_loopback());
        if loopback {
            return Side::Here;
        }
        Side::There {
            host: host.to_owned(),
            ssh: host.to_owned(),
        }
    }

    /// Returns the variables with which the docker program, and so kind, uses this engine. `tunnel` is the socket of this
    /// machine that leads to an engine behind ssh.
    ///
    /// All of them must be set for the child process, the empty ones too: docker treats an empty variable as unset, so
    /// they override what the child would inherit. `DOCKER_HOST` also overrides a `currentContext`.
    #[must_use]
    pub fn environment(&self, tunnel: Option<&Path>) -> Vec<(String, String)> {
        let (verify, folder) = match &self.route {
            Route::Tls(tls) => ("1", tls.folder.to_string_lossy().into_owned()),
            Route::Socket | Route::Tcp | Route::Ssh(_) => ("", String::new()),
        };
        let host = tunnel.map_or_else(
            || self.host.clone(),
            |socket| format!("unix://{}", socket.display()),
        );
        [
            ("DOCKER_HOST", host),
            ("DOCKER_CONTEXT", String::new()),
            ("DOCKER_TLS", String::new()),
            ("DOCKER_TLS_VERIFY", verify.to_owned()),
            ("DOCKER_CERT_PATH", folder),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// Returns a variable that is set and not empty.
fn set(env: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    env(name).filter(|value| !value.is_empty())
}

/// Normalizes an address as users write it. Without a scheme it is TCP, as in docker.
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
            route: Route::Socket,
            origin,
        }),
        "unix" if rest.starts_with('/') => Ok(EngineAddress {
            host: format!("unix://{rest}"),
            route: Route::Socket,
            origin,
        }),
        "tcp" if !rest.is_empty() && !rest.contains('/') => {
            let port = if tls.is_some() { 2376 } else { 2375 };
            let host = if has_port(rest) {
                format!("tcp://{rest}")
            } else {
                format!("tcp://{rest}:{port}")
            };
            let route = tls.map_or(Route::Tcp, Route::Tls);
            Ok(EngineAddress {
                host,
                route,
                origin,
            })
        }
        "ssh" if let Some(ssh) = SshHost::parse(rest) => Ok(EngineAddress {
            host: format!("ssh://{rest}"),
            route: Route::Ssh(ssh),
            origin,
        }),
        _ => Err(AddressError::Unsupported {
            host: host.to_owned(),
            origin,
        }),
    }
}

/// Returns whether an authority has a port. Colons within brackets (`[::1]`) don't count.
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

/// Returns the address in a docker context. Contexts are stored under the hash of their name:
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

/// Reads a JSON file; `None` if it is absent.
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
