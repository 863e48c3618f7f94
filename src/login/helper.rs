//! Docker's credential helpers: programs that keep passwords in a keychain. The protocol over standard input and
//! output: <https://github.com/docker/docker-credential-helpers#development>.

use std::ffi::{OsStr, OsString};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::LoginError;
use crate::programs;
use crate::symptoms::{Meaning, shows};

/// The most bytes of an answer. The longest secrets are tokens of some kilobytes.
const LONGEST: usize = 64 * 1024;

/// A credential helper, by its name in docker's config (`desktop`, `osxkeychain`, `pass`).
#[derive(Debug, Clone)]
pub(super) struct Helper {
    pub(super) name: String,
    /// The value of `PATH`, in which the program is looked up.
    pub(super) path: Option<OsString>,
    /// How long it may take.
    pub(super) limit: Duration,
    /// Ends the wait for it.
    pub(super) stop: CancellationToken,
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
        // Neither the text nor serde's message is shown: both may have the secret in them.
        let answer = serde_json::from_str(said.expose_secret());
        let answer: Value = answer.map_err(|_| self.error("the answer is not JSON"))?;
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
        let io = |error: std::io::Error| self.error(&error.to_string());
        let child = Command::new(found)
            .arg(verb)
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(io)?;
        let no_answer = |why: String| LoginError::NoAnswer {
            program: program.clone(),
            why,
        };
        let (status, said) = tokio::select! {
            () = self.stop.cancelled() => return Err(no_answer("interrupted".to_owned())),
            () = tokio::time::sleep(self.limit) => {
                let limit = self.limit.as_secs();
                return Err(no_answer(format!("no answer within {limit} seconds")));
            }
            ended = talk(child, &input) => ended.map_err(io)?,
        };
        if said.len() > LONGEST {
            return Err(self.error(&format!("the answer is longer than {} KiB", LONGEST / 1024)));
        }
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        Ok((status.success(), said.into()))
    }

    fn error(&self, said: &str) -> LoginError {
        LoginError::Helper {
            program: self.program(),
            said: said.to_owned(),
        }
    }

    /// Returns the error of a helper that failed. Its output then contains no secret.
    fn failed(&self, said: &SecretString) -> LoginError {
        self.error(said.expose_secret().lines().next().unwrap_or_default())
    }
}

/// Gives a helper its input, and returns its exit status and the first bytes of its output.
async fn talk(mut child: Child, input: &SecretString) -> std::io::Result<(ExitStatus, Vec<u8>)> {
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input closes the pipe; its output says why.
        let _ = stdin.write_all(input.expose_secret().as_bytes()).await;
    }
    let mut said = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let mut bounded = stdout.take(LONGEST as u64 + 1);
        bounded.read_to_end(&mut said).await?;
    }
    // One that has more to say is killed as soon as nobody listens.
    if said.len() > LONGEST {
        child.start_kill()?;
    }
    Ok((child.wait().await?, said))
}
