//! The port to the kind program. `cli.rs` runs it.

use async_trait::async_trait;

use crate::spec::KindVersion;

pub mod cli;
#[cfg(any(test, feature = "fakes"))]
pub mod fake;
pub mod traced;

/// Why a call of kind failed.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    /// A program is not in PATH.
    #[error("{program} is not in PATH")]
    Missing {
        /// `kind`, or `docker`, which kind runs.
        program: &'static str,
    },
    /// kind failed.
    #[error("kind {command} failed: {output}")]
    Failed {
        /// The subcommand.
        command: String,
        /// The last lines of its output.
        output: String,
    },
    /// kind printed something else than its version.
    #[error("can't read the version of kind: it printed {printed:?}")]
    Version {
        /// What it printed.
        printed: String,
    },
    /// The folder for kind's lock files can't be created.
    #[error("can't create {}: {cause}", folder.display())]
    State {
        /// The folder.
        folder: std::path::PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// kind could not be run.
    #[error("can't run kind {command}: {cause}")]
    Io {
        /// The subcommand.
        command: String,
        /// The system's error.
        cause: std::io::Error,
    },
}

/// Result of a call of kind.
pub type Result<T> = std::result::Result<T, KindError>;

/// Whether a `kind create` that an earlier run of kindreg started is still running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orphan {
    /// None is running.
    None,
    /// One is running.
    Running,
}

/// A running `kind create cluster`.
#[async_trait]
pub trait Creation: Send + Sync + std::fmt::Debug {
    /// Waits until it exits; fails with [`KindError::Failed`] if it fails. A cancelled call may be repeated.
    async fn finished(&mut self) -> Result<()>;
    /// Returns whether it has exited, without waiting.
    fn ended(&mut self) -> bool;
    /// Ends its whole process group, and waits until that has ended.
    async fn abort(&mut self);
}

/// The kind program.
#[async_trait]
pub trait Kind: Send + Sync + std::fmt::Debug {
    /// Returns the program's version.
    async fn version(&self) -> Result<KindVersion>;
    /// Starts `kind create cluster` with a rendered configuration on an existing network. Nodes reach the hosts in
    /// `direct` without a proxy, if there is one.
    async fn create(
        &self,
        cluster: &str,
        network: &str,
        config: &str,
        direct: &[String],
    ) -> Result<Box<dyn Creation>>;
    /// Returns whether a `kind create` of this cluster that an earlier run started is still running on this machine.
    async fn orphan(&self, cluster: &str) -> Result<Orphan>;
    /// Deletes the cluster's containers and its kubeconfig entries. An absent cluster is `Ok`.
    async fn delete(&self, cluster: &str) -> Result<()>;
}
