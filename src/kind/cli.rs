//! [`KindCli`]: the kind program, run as a child.
//!
//! Nothing here may know what is in a cluster's configuration, nor print: what kind says goes into a nameless file,
//! and its last lines into the error. (A pipe would kill an orphaned kind at its next line, by SIGPIPE.)

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, test_kill_process_group,
    waitid,
};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::{Creation, Kind, KindError, Orphan, Result};
use lock::Lock;

mod lock;
#[cfg(test)]
mod tests;

/// Clusters whose creation this process has at work.
type Ours = Arc<Mutex<BTreeSet<String>>>;

/// How long kind, which has no handler for SIGTERM, and then what it left running may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// How long a killed process may take to be gone. (A zombie is not, and some init processes reap slowly.)
const KILLED: Duration = Duration::from_millis(300);

/// How much of what kind said goes into an error.
const LAST_LINES: usize = 40;

/// The kind program on PATH.
#[derive(Debug, Clone)]
pub struct KindCli {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
    state: PathBuf,
    ours: Ours,
    /// [`GRACE`], but for tests.
    grace: Duration,
}

impl KindCli {
    /// Looks for `kind`, and the `docker` that it calls, on a PATH.
    ///
    /// `environment` is added to what kind inherits (`DOCKER_HOST`, …). `state` is a folder of this user's own for
    /// the lock files; it is made if need be.
    pub fn find(
        environment: Vec<(String, String)>,
        path: Option<&OsStr>,
        state: PathBuf,
    ) -> Result<Self> {
        let program = on_path("kind", path).ok_or(KindError::Missing { program: "kind" })?;
        on_path("docker", path).ok_or(KindError::Missing { program: "docker" })?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&state);
        made.map_err(|cause| failed_io(CREATE, cause))?;
        let given = environment
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        let searched = path.map(|path| ("PATH".into(), path.to_owned()));
        let (environment, ours) = (given.chain(searched).collect(), Ours::default());
        Ok(Self {
            program,
            environment,
            state,
            ours,
            grace: GRACE,
        })
    }

    fn lock_path(&self, cluster: &str) -> PathBuf {
        self.state.join(format!("{cluster}.kind.yaml"))
    }

    /// kind in a process group of its own, so that a Ctrl-C on the terminal reaches it through us alone.
    fn command(&self, arguments: &[&str], output: &File) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .process_group(0);
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?);
        Ok(command)
    }

    /// Runs a short command to its end; what it said. It goes on where nobody waits for it any more.
    async fn run(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let io = |cause| failed_io(name, cause);
        let mut output = tempfile::tempfile_in(&self.state).map_err(io)?;
        let mut child = self
            .command(arguments, &output)
            .and_then(|mut command| command.spawn())
            .map_err(io)?;
        let status = child.wait().await.map_err(io)?;
        judge(name, status, &mut output)
    }

    /// Takes the lock; someone who only looks whether it is held has it for a moment.
    async fn lock(&self, cluster: &str) -> io::Result<Lock> {
        for _ in 0..10 {
            if let Some(lock) = Lock::take(self.lock_path(cluster))? {
                return Ok(lock);
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            "one that an earlier kindreg started is still at work",
        ))
    }

    async fn spawn(&self, cluster: &str, network: &str, config: &str) -> io::Result<CreationCli> {
        let mut lock = self.lock(cluster).await?;
        let output = tempfile::tempfile_in(&self.state)?;
        let arguments = ["create", "cluster", "--name", cluster, "--config", "-"];
        let mut command = self.command(&arguments, &output)?;
        command
            .env("KIND_EXPERIMENTAL_DOCKER_NETWORK", network)
            .stdin(lock.filled(config)?);
        let child = command.spawn()?;
        lock_set(&self.ours).insert(cluster.to_owned());
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let (cluster, ours) = (cluster.to_owned(), Arc::clone(&self.ours));
        Ok(CreationCli {
            cluster,
            child,
            group,
            output,
            lock: Some(lock),
            ours,
            grace: self.grace,
        })
    }
}

#[async_trait]
impl Kind for KindCli {
    async fn create(
        &self,
        cluster: &str,
        network: &str,
        config: &str,
    ) -> Result<Box<dyn Creation>> {
        let creation = self
            .spawn(cluster, network, config)
            .await
            .map_err(|cause| failed_io(CREATE, cause))?;
        Ok(Box::new(creation))
    }

    async fn orphan(&self, cluster: &str) -> Result<Orphan> {
        if lock_set(&self.ours).contains(cluster) {
            return Ok(Orphan::None);
        }
        let held =
            Lock::is_held(&self.lock_path(cluster)).map_err(|cause| failed_io(CREATE, cause))?;
        Ok(if held { Orphan::AtWork } else { Orphan::None })
    }

    async fn delete(&self, cluster: &str) -> Result<()> {
        self.run("delete cluster", &["delete", "cluster", "--name", cluster])
            .await?;
        // What a killed kindreg left, unless its kind is still at work.
        if let Ok(Some(lock)) = Lock::take_existing(self.lock_path(cluster)) {
            lock.remove();
        }
        Ok(())
    }
}

const CREATE: &str = "create cluster";

/// A `kind create cluster` of ours. Dropped while at work, its whole process group is killed, and the engine may
/// still make a container: [`Creation::abort`] waits for that.
#[derive(Debug)]
struct CreationCli {
    cluster: String,
    child: Child,
    /// Its process group, which it leads; until nobody is left in it.
    group: Option<Pid>,
    output: File,
    /// Held by us too, so that the file can be removed before anyone else locks it.
    lock: Option<Lock>,
    ours: Ours,
    grace: Duration,
}

impl CreationCli {
    /// kind was reaped, and did not succeed: waits for what it left running, and kills what goes on and on.
    ///
    /// A `docker run` must be waited for: the engine makes the container even when its client is gone, so that one
    /// would appear after everything was cleaned up. Other children end by themselves, as kind no longer reads.
    async fn drain(&mut self) {
        let Some(group) = self.group else { return };
        if emptied(group, self.grace).await {
            // The number may be given away again.
            self.group = None;
        }
        self.settle();
        emptied(group, KILLED).await;
    }

    /// Kills what is left, and gives up the lock.
    fn settle(&mut self) {
        if let Some(group) = self.group.take() {
            kill_process_group(group, Signal::KILL).ok();
        }
        if let Some(lock) = self.lock.take() {
            lock.remove();
        }
        lock_set(&self.ours).remove(&self.cluster);
    }
}

#[async_trait]
impl Creation for CreationCli {
    async fn finished(&mut self) -> Result<()> {
        let status = self
            .child
            .wait()
            .await
            .map_err(|cause| failed_io(CREATE, cause))?;
        // One that succeeds has waited for its children.
        if status.success() {
            self.settle();
        }
        self.drain().await;
        judge(CREATE, status, &mut self.output).map(drop)
    }

    fn ended(&mut self) -> bool {
        // It stays a zombie, so that the number of its group stays its own until we settle.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.group
            .is_none_or(|leader| !matches!(waitid(WaitId::Pid(leader), look), Ok(None)))
    }

    async fn abort(&mut self) {
        let Some(leader) = self.group else { return };
        // kind alone, so that it starts nothing new, while what is at work on the engine gets its answer.
        if !self.ended() {
            kill_process(leader, Signal::TERM).ok();
        }
        if timeout(self.grace, self.child.wait()).await.is_err() {
            kill_process_group(leader, Signal::KILL).ok();
            timeout(self.grace, self.child.wait()).await.ok();
        }
        self.drain().await;
    }
}

impl Drop for CreationCli {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Whether nobody is left in a process group, in time.
async fn emptied(group: Pid, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while test_kill_process_group(group).is_ok() {
        if Instant::now() > deadline {
            return false;
        }
        sleep(Duration::from_millis(5)).await;
    }
    true
}

fn lock_set(ours: &Ours) -> MutexGuard<'_, BTreeSet<String>> {
    ours.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed_io(command: &str, cause: io::Error) -> KindError {
    KindError::Io {
        command: command.into(),
        cause,
    }
}

/// What a command that ended said, or its failure.
fn judge(command: &str, status: ExitStatus, output: &mut File) -> Result<String> {
    let mut said = Vec::new();
    let read = output.rewind().and_then(|()| output.read_to_end(&mut said));
    read.map_err(|cause| failed_io(command, cause))?;
    let said = plain(&String::from_utf8_lossy(&said));
    if status.success() {
        return Ok(said);
    }
    let skipped = said.lines().count().saturating_sub(LAST_LINES);
    let last: Vec<&str> = said.lines().skip(skipped).collect();
    let output = if last.is_empty() {
        status.to_string()
    } else {
        last.join("\n")
    };
    Err(KindError::Failed {
        command: command.into(),
        output,
    })
}

/// Text without the control sequences of a terminal (ECMA-48, CSI), and without carriage returns.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' if characters.as_str().starts_with('[') => {
                characters.next();
                characters
                    .by_ref()
                    .find(|final_byte| ('@'..='~').contains(final_byte));
            }
            '\r' => {}
            character => plain.push(character),
        }
    }
    plain
}

/// An executable file of that name in an absolute folder of PATH, as kind itself (Go) will look for docker.
fn on_path(program: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let executable = |file: &PathBuf| {
        file.metadata()
            .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    let folders = std::env::split_paths(path?).filter(|folder| folder.is_absolute());
    folders
        .map(|folder: PathBuf| Path::join(&folder, program))
        .find(executable)
}
