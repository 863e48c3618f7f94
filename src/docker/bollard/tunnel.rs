//! A tunnel to an engine behind ssh: one ssh process that forwards a socket of this machine to the engine's.
//!
//! docker starts one ssh for each connection (<https://github.com/docker/cli/tree/master/cli/connhelper>). kindreg has
//! dozens of requests at the same time, and sshd refuses so many logins at once (`MaxStartups` in `sshd_config(5)`). kind
//! and docker use the same tunnel, and so the same engine.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::docker::address::SshHost;

/// What the other side says once it is there. A shell's start-up files may print other lines before it.
const READY: &str = "kindreg-tunnel";
/// The most bytes of what ssh says that are read.
const MAX_SAID: u64 = 4096;
/// The most bytes that the other side may print before that line.
const MAX_BANNER: u64 = 1 << 16;

/// A running tunnel. Dropping it ends ssh and removes the socket.
#[derive(Debug)]
pub(super) struct Tunnel {
    folder: TempDir,
    said: File,
    /// Its standard input keeps the command on the other side running, so ssh ends even if kindreg is killed.
    _ssh: Child,
}

impl Tunnel {
    /// Opens a tunnel. ssh asks no questions: there may be no terminal, and a progress bar may be on it.
    ///
    /// # Errors
    /// What ssh says, or why it can't be run.
    pub(super) async fn open(host: &SshHost, limit: Duration) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("kindreg-").tempdir()?;
        let socket = folder.path().join("docker.sock");
        // No pipe: it would fill up, as ssh complains of every connection that fails.
        let said = tempfile::tempfile()?;
        let mut command = Command::new("ssh");
        command
            .args([
                "-T",
                "-o",
                "BatchMode=yes",
                "-o",
                "ExitOnForwardFailure=yes",
            ])
            // A connection that others share would outlive this tunnel.
            .args(["-o", "ControlMaster=no", "-o", "ControlPath=none"])
            .args(["-o", &format!("ConnectTimeout={}", limit.as_secs().max(1))])
            .args(["-o", "ServerAliveInterval=15", "-L"])
            .arg(format!("{}:{}", socket.display(), host.socket));
        let mut destination = host.arguments();
        let name = destination.pop().unwrap_or_default();
        command
            .args(destination)
            .args(["--", &name, &format!("echo {READY} && exec cat")])
            // Not in kindreg's group: Ctrl-C must not end it before what kindreg made is removed.
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said.try_clone()?);
        let mut ssh = command
            .spawn()
            .map_err(|cause| io::Error::new(cause.kind(), format!("can't run ssh: {cause}")))?;
        let silent = || io::Error::new(io::ErrorKind::TimedOut, "ssh did not connect in time");
        let is_there = timeout(limit, ready(&mut ssh))
            .await
            .map_err(|_| silent())??;
        match is_there {
            Ready::Yes => Ok(Self {
                folder,
                said,
                _ssh: ssh,
            }),
            Ready::No => Err(io::Error::other(last_line(&said)?)),
        }
    }

    /// Returns what ssh last complained of; `None` if it said nothing.
    pub(super) fn complaint(&self) -> Option<String> {
        last_line(&self.said).ok().filter(|said| !said.is_empty())
    }

    /// Returns the socket on this machine.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }
}

/// Whether the other side is there.
enum Ready {
    Yes,
    /// ssh has ended its output.
    No,
}

/// Waits until the other side is there, or ssh ends.
async fn ready(ssh: &mut Child) -> io::Result<Ready> {
    let Some(output) = ssh.stdout.as_mut() else {
        return Ok(Ready::No);
    };
    let mut lines = BufReader::new(output.take(MAX_BANNER)).lines();
    while let Some(line) = lines.next_line().await? {
        if line == READY {
            return Ok(Ready::Yes);
        }
    }
    Ok(Ready::No)
}

/// Returns the last line of a file that is not empty.
fn last_line(file: &File) -> io::Result<String> {
    let size = file.metadata()?.len();
    let mut end = vec![0; usize::try_from(size.min(MAX_SAID)).unwrap_or_default()];
    file.read_exact_at(&mut end, size.saturating_sub(MAX_SAID))?;
    let said = String::from_utf8_lossy(&end);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    Ok(last.unwrap_or_default().trim().to_owned())
}
