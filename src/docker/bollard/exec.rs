//! Hijacked connections: for the input and output of a command, and for the input of a container.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use ::bollard::container::{AttachContainerResults, LogOutput};
use ::bollard::errors::Error;
use ::bollard::exec::StartExecResults;
use ::bollard::models::ExecConfig;
use async_trait::async_trait;
use futures_util::{Stream, StreamExt, future};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::Bollard;
use super::failure::{Call, QUICK, TICK, says};
use crate::docker::{Attached, ExecOutput, MAX_OUTPUT, Result};
use crate::symptoms::Meaning;

type Output = Pin<Box<dyn Stream<Item = std::result::Result<LogOutput, Error>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// Keeps the connection to a container's input open.
pub(super) struct Stdin {
    connection: Mutex<AttachContainerResults>,
}

impl Stdin {
    pub(super) fn new(connection: AttachContainerResults) -> Self {
        Self {
            connection: Mutex::new(connection),
        }
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin").finish_non_exhaustive()
    }
}

#[async_trait]
impl Attached for Stdin {
    async fn keep(&self, interval: Duration) {
        let AttachContainerResults { output, input } = &mut *self.connection.lock().await;
        let mut beats = tokio::time::interval(interval);
        loop {
            tokio::select! {
                said = output.next() => match said {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
                _ = beats.tick() => {
                    let beat = async {
                        input.write_all(b".").await?;
                        input.flush().await
                    };
                    // An engine that takes nothing for so long may as well be gone.
                    match timeout(interval, beat).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) | Err(_) => return,
                    }
                }
            }
        }
    }
}

impl Bollard {
    pub(super) async fn run_command(
        &self,
        name: &str,
        command: &[&str],
        input: &[u8],
    ) -> Result<ExecOutput> {
        let call = self.call("run a command in", "container", name);
        let config = ExecConfig {
            cmd: Some(command.iter().map(|&word| word.to_owned()).collect()),
            attach_stdin: Some(!input.is_empty()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let stopped = |error| {
            if says(&error, Meaning::NotRunning) {
                call.missing("running ")
            } else {
                error
            }
        };
        let id = call
            .quick(self.api.create_exec(name, config))
            .await
            .map_err(stopped)?
            .id;
        let started = call
            .quick(self.api.start_exec(&id, None))
            .await
            .map_err(stopped)?;
        let StartExecResults::Attached {
            output,
            input: stdin,
        } = started
        else {
            return Err(call.other("the engine did not attach to the command"));
        };
        let exchanged = call.long(exchange(output, stdin, input)).await?;
        let (stdout, stderr) = exchanged.ok_or_else(|| call.too_large("the output"))?;
        Ok(ExecOutput {
            code: self.exit_code(&call, &id).await?,
            stdout,
            stderr,
        })
    }

    /// Returns the exit code of a command whose output has ended. The engine has it only a moment later.
    async fn exit_code(&self, call: &Call, id: &str) -> Result<i64> {
        let deadline = Instant::now() + QUICK;
        while Instant::now() < deadline {
            let answer = call.quick(self.api.inspect_exec(id)).await?;
            if let (Some(false), Some(code)) = (answer.running, answer.exit_code) {
                return Ok(code);
            }
            sleep(TICK).await;
        }
        Err(call.other("the command closed its output, but did not exit"))
    }
}

/// Writes a command's input and reads its output at the same time: one after the other would block on a full pipe. A
/// command need not read all its input, so the end of its output is the end of the exchange. Returns `None` if it prints
/// more than [`MAX_OUTPUT`].
async fn exchange(
    mut output: Output,
    mut stdin: Input,
    input: &[u8],
) -> std::result::Result<Option<(Vec<u8>, Vec<u8>)>, Error> {
    let feed = async {
        if stdin.write_all(input).await.is_ok() {
            // This closes one half of the connection: the command sees the end of its input.
            stdin.shutdown().await.ok();
        }
        future::pending().await
    };
    let drain = async {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(chunk) = output.next().await {
            match chunk? {
                LogOutput::StdOut { message } => stdout.extend_from_slice(&message),
                // Bytes outside the stream's frames are an error message of the engine.
                LogOutput::StdErr { message } | LogOutput::Console { message } => {
                    stderr.extend_from_slice(&message);
                }
                LogOutput::StdIn { .. } => {}
            }
            if stdout.len() + stderr.len() > MAX_OUTPUT {
                return Ok(None);
            }
        }
        Ok(Some((stdout, stderr)))
    };
    tokio::select! {
        drained = drain => drained,
        never = feed => never,
    }
}
