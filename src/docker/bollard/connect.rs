//! Connects to an engine.

use std::path::PathBuf;
use std::time::Duration;

use ::bollard::API_DEFAULT_VERSION;
use ::bollard::errors::Error;
use tokio::sync::Semaphore;

use super::failure::{Call, LONG, QUICK};
use super::tunnel::Tunnel;
use super::{Bollard, DOWNLOADS, tls};
use crate::docker::address::{EngineAddress, Route};
use crate::docker::{DockerError, Result};

/// How long an engine may take to answer the first request.
const LIMIT: Duration = Duration::from_secs(20);

impl Bollard {
    /// Connects to an engine, and negotiates the version of the API.
    ///
    /// # Errors
    /// [`DockerError::Unreachable`] if no engine answers, [`DockerError::Denied`] if this user may not use it.
    pub async fn connect(address: &EngineAddress) -> Result<Self> {
        let host = address.host.clone();
        let call = Call {
            address: host.clone(),
            doing: format!("connect to {host}"),
            subject: format!("Docker engine at {host}"),
        };
        let unreachable = |cause| DockerError::Unreachable {
            address: host.clone(),
            cause,
        };
        let tunnel = match &address.route {
            Route::Ssh(ssh) => {
                let tunnel = Tunnel::open(ssh, LIMIT).await;
                Some(tunnel.map_err(|cause| unreachable(cause.to_string()))?)
            }
            Route::Socket | Route::Tcp | Route::Tls(_) => None,
        };
        let agreed = async { open(address, tunnel.as_ref())?.negotiate_version().await };
        let failure = match call.run(LIMIT, agreed).await {
            Ok(api) => {
                return Ok(Self {
                    api,
                    address: host,
                    stall: QUICK,
                    tunnel,
                    downloads: Semaphore::new(DOWNLOADS),
                });
            }
            Err(error) => error,
        };
        // Through a tunnel every failure looks the same, and ssh knows the reason.
        if let Some(said) = tunnel.as_ref().and_then(Tunnel::complaint) {
            return Err(unreachable(said));
        }
        Err(match failure {
            // The server is not an engine, or one side uses TLS and the other plain HTTP.
            DockerError::Other { cause, .. } | DockerError::Missing { what: cause } => {
                unreachable(cause)
            }
            error => error,
        })
    }
}

impl Bollard {
    /// Returns the engine with another limit for its silence while it pulls, pushes or loads an image.
    #[must_use]
    pub fn silent_for(self, stall: Duration) -> Self {
        Self { stall, ..self }
    }

    /// Returns the socket of this machine that leads to an engine behind ssh; `None` for any other engine.
    #[must_use]
    pub fn tunnel(&self) -> Option<PathBuf> {
        self.tunnel.as_ref().map(Tunnel::socket)
    }
}

/// Returns a client. Its own timeout, which covers only the head of a response, never ends before kindreg's.
fn open(
    address: &EngineAddress,
    tunnel: Option<&Tunnel>,
) -> std::result::Result<::bollard::Docker, Error> {
    let (host, limit, version) = (&address.host, LONG.as_secs(), API_DEFAULT_VERSION);
    let unix = |host: &str| ::bollard::Docker::connect_with_unix(host, limit, version);
    match &address.route {
        Route::Tls(files) => tls::open(host, files, limit),
        Route::Socket => unix(host),
        Route::Tcp => ::bollard::Docker::connect_with_http(host, limit, version),
        Route::Ssh(_) => {
            let socket = tunnel.map(Tunnel::socket).unwrap_or_default();
            unix(&format!("unix://{}", socket.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::docker::address::Origin;

    /// Returns why connecting to an address fails.
    async fn cause(host: String) -> String {
        let route = if host.starts_with("unix://") {
            Route::Socket
        } else {
            Route::Tcp
        };
        let address = EngineAddress {
            host,
            route,
            origin: Origin::Flag,
        };
        match Bollard::connect(&address).await {
            Err(DockerError::Unreachable { address: at, cause }) if at == address.host => cause,
            other => format!("not unreachable: {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_socket_that_is_absent_or_dead_is_unreachable() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let host = format!("unix://{}", socket.display());
        assert!(cause(host.clone()).await.starts_with("No such file"));
        drop(UnixListener::bind(socket).unwrap());
        assert!(cause(host).await.starts_with("Connection refused"));
    }

    #[tokio::test]
    async fn a_closed_port_is_unreachable() {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        assert!(
            cause(format!("tcp://{port}"))
                .await
                .starts_with("Connection refused")
        );
    }

    #[tokio::test]
    async fn another_server_is_no_engine() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("tcp://{}", server.local_addr().unwrap());
        let answer = async {
            let (mut client, _) = server.accept().await.unwrap();
            let read = client.read(&mut [0; 1024]).await.unwrap();
            client
                .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
            read
        };
        let (cause, read) = tokio::join!(cause(host.clone()), answer);
        assert!(read > 0);
        assert_eq!(cause, format!("Docker engine at {host}"));
    }
}
