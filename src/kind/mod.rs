//! The kind program in our words.
//!
//! Nothing here may know how kind is called; `cli.rs` does.

use async_trait::async_trait;

pub mod cli;
#[cfg(any(test, feature = "fakes"))]
pub mod fake;
pub mod traced;

/// What a call of kind came to, where it failed.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    /// The program is not on PATH.
    #[error("{program} is not on PATH")]
    Missing {
        /// `kind`, or the `docker` that kind calls.
        program: &'static str,
    },
    /// It ran and failed.
    #[error("kind {command} failed: {output}")]
    Failed {
        /// The sub-command.
        command: String,
        /// The last lines of what it said.
        output: String,
    },
    /// It could not be run or watched.
    #[error("kind {command}: {cause}")]
    Io {
        /// The sub-command.
        command: String,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// Result of a call of kind.
pub type Result<T> = std::result::Result<T, KindError>;

/// Whether a `kind create` that an earlier kindreg started is still at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orphan {
    /// None is.
    None,
    /// One is, and goes on without us.
    AtWork,
}

/// A `kind create cluster` at work.
#[async_trait]
pub trait Creation: Send + Sync + std::fmt::Debug {
    /// Waits until it ends; its failure as [`KindError::Failed`]. May be called again after it was cancelled.
    async fn finished(&mut self) -> Result<()>;
    /// Whether it ended already, without waiting.
    fn ended(&mut self) -> bool;
    /// Ends the whole process group and waits until it is gone.
    async fn abort(&mut self);
}

/// The kind program.
#[async_trait]
pub trait Kind: Send + Sync + std::fmt::Debug {
    /// Starts `kind create cluster` with a rendered configuration, on a network that exists.
    async fn create(&self, cluster: &str, network: &str, config: &str)
    -> Result<Box<dyn Creation>>;
    /// Whether an orphaned creation of that cluster is still at work on this machine.
    async fn orphan(&self, cluster: &str) -> Result<Orphan>;
    /// Deletes the cluster's containers and its kubeconfig entries. Absent is `Ok`.
    async fn delete(&self, cluster: &str) -> Result<()>;
}
