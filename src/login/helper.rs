//! Docker's credential helpers: programs that keep passwords in a keychain. The protocol over standard input and
//! output: <https://github.com/docker/docker-credential-helpers#development>.

use std::ffi::{OsStr, OsString};
use std::process::Stdio;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::LoginError;
use crate::programs;
use crate::symptoms::{Meaning, shows};

/// How long a helper may take: a keychain may prompt its user.
const LIMIT: Duration = Duration::from_secs(120);

/// A credential helper, by its name in docker's config (`desktop`, `osxkeychain`, `pass`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Helper {
    pub(super) name: String,
    /// The value of `PATH`, in which the program is looked up.
    pub(super) path: Option<OsString>,
}

impl Helper {
    pub(super) fn program(&self) -> String {
        format!("docker-credential-{}", self.name)
    }

    /// Returns the user and the secret for a server, or `None` if it has none.
    pub(super) async fn get(
        &self,
        server: &str,
    ) -> Result<Option<(String, SecretString)>, LoginError> {
        let (ok, said) = self.call("get", server.to_owned().into()).await?;
        if !ok {
            // The exit code for this differs between helpers, so the text decides.
            let absent = shows(said.expose_secret(), Meaning::NothingStored);
            return if absent {
                Ok(None)
            } else {
                Err(self.failed(&said))
            };
        }
        let answer: Value = serde_json::from_str(said.expose_secret()).unwrap_or_default();
        let text = |key: &str| answer[key].as_str().map(str::to_owned);
        Ok(text("Username")
            .zip(text("Secret"))
            .map(|(user, secret)| (user, secret.into())))
    }

    pub(super) async fn store(
        &self,
        server: &str,
        user: &str,
        secret: &SecretString,
    ) -> Result<(), LoginError> {
        let entry =
            json!({"ServerURL": server, "Username": user, "Secret": secret.expose_secret()});
        let (ok, said) = self.call("store", entry.to_string().into()).await?;
        if ok { Ok(()) } else { Err(self.failed(&said)) }
    }

    pub(super) async fn erase(&self, server: &str) -> Result<(), LoginError> {
        let (ok, said) = self.call("erase", server.to_owned().into()).await?;
        let absent = shows(said.expose_secret(), Meaning::NothingStored);
        if ok || absent {
            Ok(())
        } else {
            Err(self.failed(&said))
        }
    }

    /// Runs the helper, and returns whether it succeeded and its output.
    async fn call(
        &self,
        verb: &str,
        input: SecretString,
    ) -> Result<(bool, SecretString), LoginError> {
        let program = self.program();
        let path = self.path.as_deref().unwrap_or_else(|| OsStr::new(""));
        let found = programs::find(&program, Some(path))
            .ok_or_else(|| LoginError::NoHelper(program.clone()))?;
        let io = |error: std::io::Error| LoginError::Helper {
            program: program.clone(),
            said: error.to_string(),
        };
        let mut child = Command::new(found)
            .arg(verb)
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(io)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read its input closes the pipe; its output says why.
            let _ = stdin.write_all(input.expose_secret().as_bytes()).await;
        }
        let ended = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
        let output = ended
            .map_err(|_| LoginError::Helper {
                program: program.clone(),
                said: format!("no answer within {} seconds", LIMIT.as_secs()),
            })?
            .map_err(io)?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok((output.status.success(), said.into()))
    }

    /// Returns the error of a helper that failed. Its output then contains no secret.
    fn failed(&self, said: &SecretString) -> LoginError {
        LoginError::Helper {
            program: self.program(),
            said: said
                .expose_secret()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }
}
