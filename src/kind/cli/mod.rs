//! [`KindCli`]: runs the kind program as a child process.
//!
//! Nothing here knows a cluster's configuration, or prints: kind's output goes into a nameless file, and its last lines
//! into the error. (With a pipe, SIGPIPE would kill kind at its next line after kindreg has exited.)

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::Stdio;
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
use crate::programs;
use crate::spec::KindVersion;
use lock::Lock;
use output::{failed_io, outcome};
pub use proxy::Proxy;

mod lock;
mod output;
mod proxy;
#[cfg(test)]
mod tests;

/// The clusters that this process is creating.
type Creating = Arc<Mutex<BTreeSet<String>>>;

/// How long kind, which does not handle SIGTERM, may take to exit, and after that its children.
const GRACE: Duration = Duration::from_secs(5);

/// How long a killed process may take to disappear: some init processes reap zombies slowly.
const KILLED: Duration = Duration::from_millis(300);

/// The kind program in PATH.
#[derive(Debug, Clone)]
pub struct KindCli {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
    state: PathBuf,
    creating: Creating,
    proxy: Proxy,
    /// [`GRACE`], except in tests.
    grace: Duration,
}

impl KindCli {
    /// Looks for `kind`, and for `docker`, which kind runs, in `path`, the value of `PATH`.
    ///
    /// `environment` is added to what kind inherits (`DOCKER_HOST`, …). `state` is this user's folder for lock files,
    /// which is created when kind is run: commands that only read work without it.
    ///
    /// # Errors
    /// A program is not in `path`.
    pub fn find(
        environment: Vec<(String, String)>,
        path: Option<&OsStr>,
        state: PathBuf,
        proxy: Proxy,
    ) -> Result<Self> {
        let program = programs::find("kind", path).ok_or(KindError::Missing { program: "kind" })?;
        programs::find("docker", path).ok_or(KindError::Missing { program: "docker" })?;
        let given = environment
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        let searched = path.map(|path| ("PATH".into(), path.to_owned()));
        let (environment, creating) = (given.chain(searched).collect(), Creating::default());
        Ok(Self {
            program,
            environment,
            state,
            creating,
            proxy,
            grace: GRACE,
        })
    }

    fn make_state(&self) -> Result<()> {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&self.state);
        made.map_err(|cause| KindError::State {
            folder: self.state.clone(),
            cause,
        })
    }

    fn lock_path(&self, cluster: &str) -> PathBuf {
        self.state.join(format!("{cluster}.kind.yaml"))
    }

    /// Returns a command in its own process group, so that Ctrl-C on the terminal does not reach kind directly.
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

    /// Returns the kubeconfig files that are there, as `KUBECONFIG` has them; `None` if there are none. kind makes the
    /// folder of each file that it is to remove entries from:
    /// <https://github.com/kubernetes-sigs/kind/blob/v0.33.0/pkg/cluster/internal/kubeconfig/internal/kubeconfig/lock.go>.
    fn present_kubeconfig(&self) -> Option<OsString> {
        let mut variables = self.environment.iter();
        let (_, list) = variables.find(|(name, _)| name == "KUBECONFIG")?;
        let files: Vec<PathBuf> = std::env::split_paths(list)
            .filter(|file| file.exists())
            .collect();
        let list = std::env::join_paths(&files).ok()?;
        (!files.is_empty()).then_some(list)
    }

    /// Runs a short command, and returns its output. Dropping the future kills the command and its children.
    async fn run(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let io = |cause| failed_io(name, cause);
        // A failed run must be rolled back without a folder for the state, too.
        let output = self
            .make_state()
            .map(|()| tempfile::tempfile_in(&self.state));
        let output = output
            .unwrap_or_else(|_| tempfile::tempfile())
            .map_err(io)?;
        self.run_into(output, name, arguments).await
    }

    /// Runs a short command with its output in a file, and returns that.
    async fn run_into(&self, mut output: File, name: &str, arguments: &[&str]) -> Result<String> {
        let io = |cause| failed_io(name, cause);
        let mut command = self.command(arguments, &output).map_err(io)?;
        let nowhere = match self.present_kubeconfig() {
            Some(files) => {
                command.env("KUBECONFIG", files);
                None
            }
            None => Some(tempfile::tempdir().map_err(io)?),
        };
        command.envs(
            nowhere
                .iter()
                .map(|folder| ("KUBECONFIG", folder.path().join("config"))),
        );
        let mut child = command.spawn().map_err(io)?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        let status = child.wait().await.map_err(io)?;
        group.has_ended();
        outcome(name, status, &mut output)
    }

    /// Takes the lock. It tries several times, as a process that checks the lock holds it for a moment.
    async fn lock(&self, cluster: &str) -> io::Result<Lock> {
        for _ in 0..10 {
            if let Some(lock) = Lock::take(self.lock_path(cluster))? {
                return Ok(lock);
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            "a `kind create` left running by an earlier run still holds the lock",
        ))
    }

    async fn spawn(
        &self,
        cluster: &str,
        network: &str,
        config: &str,
        direct: &[String],
    ) -> io::Result<CreationCli> {
        let mut lock = self.lock(cluster).await?;
        let output = tempfile::tempfile_in(&self.state)?;
        let arguments = ["create", "cluster", "--name", cluster, "--config", "-"];
        let mut command = self.command(&arguments, &output)?;
        command
            .env("KIND_EXPERIMENTAL_DOCKER_NETWORK", network)
            .envs(self.proxy.exemptions(direct))
            .stdin(lock.filled(config)?);
        let child = command.spawn()?;
        lock_set(&self.creating).insert(cluster.to_owned());
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let (cluster, creating) = (cluster.to_owned(), Arc::clone(&self.creating));
        Ok(CreationCli {
            cluster,
            child,
            group,
            output,
            lock: Some(lock),
            creating,
            grace: self.grace,
        })
    }
}

#[async_trait]
impl Kind for KindCli {
    async fn version(&self) -> Result<KindVersion> {
        // Also asked by a dry run, which makes no folder for the state.
        let output = tempfile::tempfile().map_err(|cause| failed_io(VERSION, cause))?;
        let printed = self.run_into(output, VERSION, &[VERSION]).await?;
        // A warning may stand before it.
        let version = printed.lines().find_map(|line| line.parse().ok());
        version.ok_or_else(|| KindError::Version {
            printed: printed.trim().chars().take(80).collect(),
        })
    }

    async fn create(
        &self,
        cluster: &str,
        network: &str,
        config: &str,
        direct: &[String],
    ) -> Result<Box<dyn Creation>> {
        self.make_state()?;
        let creation = self
            .spawn(cluster, network, config, direct)
            .await
            .map_err(|cause| failed_io(CREATE, cause))?;
        Ok(Box::new(creation))
    }

    async fn orphan(&self, cluster: &str) -> Result<Orphan> {
        if lock_set(&self.creating).contains(cluster) {
            return Ok(Orphan::None);
        }
        let held =
            Lock::is_held(&self.lock_path(cluster)).map_err(|cause| failed_io(CREATE, cause))?;
        Ok(if held { Orphan::Running } else { Orphan::None })
    }

    async fn delete(&self, cluster: &str) -> Result<()> {
        self.run("delete cluster", &["delete", "cluster", "--name", cluster])
            .await?;
        // A kindreg that was killed left the file, unless its kind is still running.
        if let Ok(Some(lock)) = Lock::take_existing(self.lock_path(cluster)) {
            lock.remove();
        }
        Ok(())
    }
}

/// A process group that is killed when this is dropped.
struct Group(Option<Pid>);

impl Group {
    /// Its leader has ended, and its number may be used again.
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

const CREATE: &str = "create cluster";
const VERSION: &str = "version";

/// A `kind create cluster` of this process. Dropping it kills its whole process group, but the engine may still create
/// a container; [`Creation::abort`] waits for that.
#[derive(Debug)]
struct CreationCli {
    cluster: String,
    child: Child,
    /// Its process group; `None` after all processes in it have exited.
    group: Option<Pid>,
    output: File,
    /// kindreg holds the lock too, so that it can remove the file before another process locks it.
    lock: Option<Lock>,
    creating: Creating,
    grace: Duration,
}

impl CreationCli {
    /// After kind has failed: waits for its children, and then kills those that are still running.
    ///
    /// It must wait for `docker run`: the engine creates the container even after its client was killed, so it would
    /// appear after the clean-up. Other children exit by themselves, as kind no longer reads their output.
    async fn drain(&mut self) {
        let Some(group) = self.group else { return };
        if emptied(group, self.grace).await {
            // The system may now reuse the number.
            self.group = None;
        }
        self.settle();
        emptied(group, KILLED).await;
    }

    /// Kills the remaining processes, and releases the lock.
    fn settle(&mut self) {
        if let Some(group) = self.group.take() {
            kill_process_group(group, Signal::KILL).ok();
        }
        if let Some(lock) = self.lock.take() {
            lock.remove();
        }
        lock_set(&self.creating).remove(&self.cluster);
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
        // A kind that succeeds has waited for its children.
        if status.success() {
            self.settle();
        }
        self.drain().await;
        outcome(CREATE, status, &mut self.output).map(drop)
    }

    fn ended(&mut self) -> bool {
        // kind stays a zombie, so that the number of its group is not reused before `settle`.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.group
            .is_none_or(|leader| !matches!(waitid(WaitId::Pid(leader), look), Ok(None)))
    }

    async fn abort(&mut self) {
        let Some(leader) = self.group else { return };
        // Only kind gets the signal: it starts nothing new, and its `docker run` still gets the engine's answer.
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

/// Waits for at most `limit` until a process group is empty, and returns whether it is.
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

fn lock_set(creating: &Creating) -> MutexGuard<'_, BTreeSet<String>> {
    creating.lock().unwrap_or_else(PoisonError::into_inner)
}
