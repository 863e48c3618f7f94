//! Converts bollard's errors to [`DockerError`].
//!
//! The engine describes most errors in prose only; [`crate::symptoms`] decides what that means.

use std::error::Error as StdError;
use std::fs;
use std::io;
use std::time::Duration;

use ::bollard::errors::Error;

use crate::docker::{DockerError, Result};
use crate::symptoms::{Meaning, shows};

/// A call to the engine: the words for its errors.
pub(super) struct Call {
    /// Address of the engine.
    pub(super) address: String,
    /// The call, as a phrase ("start container x").
    pub(super) doing: String,
    /// The object of the call, as a phrase ("container x").
    pub(super) subject: String,
}

/// The limit for a call that moves no data. A busy engine takes long to start a container.
pub(super) const QUICK: Duration = Duration::from_secs(120);
/// The limit for a call that moves data, or waits for something in a container.
pub(super) const LONG: Duration = Duration::from_secs(1800);
/// The interval between polls.
pub(super) const TICK: Duration = Duration::from_millis(20);

impl Call {
    /// Waits for the answer for at most `limit`.
    pub(super) async fn run<T>(
        &self,
        limit: Duration,
        answer: impl Future<Output = std::result::Result<T, Error>>,
    ) -> Result<T> {
        let answer = tokio::time::timeout(limit, answer).await;
        answer
            .unwrap_or(Err(Error::RequestTimeoutError))
            .map_err(|error| self.failed(&error))
    }

    /// Waits for the answer of a call that moves no data.
    pub(super) async fn quick<T>(
        &self,
        answer: impl Future<Output = std::result::Result<T, Error>>,
    ) -> Result<T> {
        self.run(QUICK, answer).await
    }

    /// Waits for the answer of a call that moves data, or waits for something in a container.
    pub(super) async fn long<T>(
        &self,
        answer: impl Future<Output = std::result::Result<T, Error>>,
    ) -> Result<T> {
        self.run(LONG, answer).await
    }

    /// Returns the error that the object is missing, or missing in a state (`running `).
    pub(super) fn missing(&self, state: &str) -> DockerError {
        DockerError::Missing {
            what: format!("{state}{}", self.subject),
        }
    }

    /// Returns the error that something of the object (a path, an output) is larger than its limit.
    pub(super) fn too_large(&self, what: &str) -> DockerError {
        DockerError::TooLarge {
            what: format!("{what} of {}", self.subject),
        }
    }

    /// Returns the error for any other cause.
    pub(super) fn other(&self, cause: impl Into<String>) -> DockerError {
        let (doing, cause) = (self.doing.clone(), cause.into());
        if shows(&cause, Meaning::FullDisk) {
            DockerError::NoSpace { doing, cause }
        } else {
            DockerError::Other { doing, cause }
        }
    }

    fn failed(&self, error: &Error) -> DockerError {
        match error {
            Error::DockerResponseServerError {
                status_code: 404,
                message,
            } => DockerError::Missing {
                what: missing_object(message).unwrap_or_else(|| self.subject.clone()),
            },
            Error::DockerResponseServerError { message, .. }
            | Error::DockerStreamError { error: message } => self.other(message.trim()),
            Error::RequestTimeoutError => self.other("the engine did not answer in time"),
            // bollard also reports this if the user may not enter the socket's folder.
            Error::SocketNotFoundError(path) => match fs::metadata(path) {
                Err(cause) => self.unreachable(&cause),
                Ok(_) => self.other(error.to_string()),
            },
            Error::HyperLegacyError { err } if err.is_connect() => self.unreachable(err),
            _ => self.other(root(error).to_string()),
        }
    }

    fn unreachable(&self, error: &(dyn StdError + 'static)) -> DockerError {
        let address = self.address.clone();
        let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        if chain(error)
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(denied)
        {
            DockerError::Denied { address }
        } else {
            DockerError::Unreachable {
                address,
                cause: root(error).to_string(),
            }
        }
    }
}

/// Returns an error and its causes, outermost first.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Returns the innermost cause: hyper's own message ("client error (Connect)") helps nobody.
fn root<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    chain(error).last().unwrap_or(error)
}

/// Returns the object that a 404 names, which may not be that of the call: a container's network may be missing.
fn missing_object(message: &str) -> Option<String> {
    let message = message.trim();
    let network = || {
        let (_, name) = message.rsplit_once("network ")?;
        Some(format!("network {}", name.strip_suffix(" not found")?))
    };
    let path = || {
        message
            .strip_prefix("Could not find the file ")
            .map(str::to_owned)
    };
    let named = |kind| {
        message
            .strip_prefix(&format!("No such {kind}: "))
            .map(|name| format!("{kind} {name}"))
    };
    network()
        .or_else(path)
        .or_else(|| named("container"))
        .or_else(|| named("image"))
}

/// Returns `None` for a missing object.
pub(super) fn optional<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Err(DockerError::Missing { .. }) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Returns whether an error has this meaning.
pub(super) fn says(error: &DockerError, meaning: Meaning) -> bool {
    matches!(error, DockerError::Other { cause, .. } if shows(cause, meaning))
}

/// Returns the error of a name that is in use, if it is one.
pub(super) fn name_taken(error: DockerError, name: &str) -> DockerError {
    if says(&error, Meaning::NameTaken) {
        DockerError::NameTaken {
            name: name.to_owned(),
        }
    } else {
        error
    }
}

/// Returns the error of a port that is in use, if it is one.
pub(super) fn port_taken(error: DockerError) -> DockerError {
    match error {
        DockerError::Other { cause, .. } if shows(&cause, Meaning::PortTaken) => {
            DockerError::PortTaken { cause }
        }
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        let [address, doing, subject] =
            ["unix:///s", "start container x", "container x"].map(str::to_owned);
        Call {
            address,
            doing,
            subject,
        }
    }

    fn refused(status_code: u16, message: &str) -> DockerError {
        call().failed(&Error::DockerResponseServerError {
            status_code,
            message: message.to_owned(),
        })
    }

    #[test]
    fn what_is_missing_is_named_by_the_engine() {
        for (message, what) in [
            ("No such container: y", "container y"),
            ("network n not found", "network n"),
            (
                "failed to set up container networking: network n not found",
                "network n",
            ),
            ("No such image: r.test/a:1", "image r.test/a:1"),
            (
                "Could not find the file /a in container y",
                "/a in container y",
            ),
            ("get v: no such volume", "container x"),
        ] {
            assert!(
                matches!(refused(404, message), DockerError::Missing { what: said } if said == what),
                "{message}"
            );
        }
    }

    #[test]
    fn ports_are_taken_in_the_words_of_every_engine() {
        for message in [
            "driver failed programming external connectivity on endpoint x (1): Bind for 0.0.0.0:80 failed: port is already allocated",
            "driver failed programming external connectivity on endpoint x (1): Error starting userland proxy: listen tcp4 127.0.0.1:80: bind: address already in use",
            "failed to set up container networking: driver failed programming external connectivity on endpoint x (1): failed to bind host port 127.0.0.1:80/tcp: address already in use",
        ] {
            assert!(
                says(&refused(500, message), Meaning::PortTaken),
                "{message}"
            );
        }
        assert!(!says(&refused(500, "boom"), Meaning::PortTaken));
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        let error = refused(500, "write /var/lib/docker/x: no space left on device");
        assert!(matches!(error, DockerError::NoSpace { .. }));
    }

    #[test]
    fn an_absent_socket_is_no_engine() {
        let error = call().failed(&Error::SocketNotFoundError(
            "/nonexistent/docker.sock".to_owned(),
        ));
        assert!(
            matches!(error, DockerError::Unreachable { cause, .. } if cause.contains("No such file"))
        );
    }

    #[test]
    fn a_refused_permission_is_found_below() {
        let error = call().unreachable(&io::Error::other(io::Error::from(
            io::ErrorKind::PermissionDenied,
        )));
        assert!(matches!(
            error,
            DockerError::Unreachable { .. } | DockerError::Denied { .. }
        ));
        let error = call().unreachable(&io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(matches!(error, DockerError::Denied { .. }));
    }
}
