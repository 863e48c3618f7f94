//! Containers, as the engine reports them and as it is asked to create them.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;

/// State of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Created, never started.
    Created,
    /// Its process is running.
    Running,
    /// Its process has exited.
    Exited {
        /// Exit code of the process.
        code: i64,
    },
    /// Paused, restarting, removing, dead.
    Other(String),
}

/// One port of a container that is published on the engine's host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishedPort {
    /// TCP port inside the container.
    pub container: u16,
    /// Address on the engine's host.
    pub address: String,
    /// TCP port on the engine's host.
    pub host: u16,
}

/// A container as the engine reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Reference of its image.
    pub image: String,
    /// Id of its image. The reference may name another image by now.
    pub image_id: String,
    /// All labels, those of the image included.
    pub labels: BTreeMap<String, String>,
    /// Current state.
    pub state: ContainerState,
    /// When its process was last started, by the clock of the engine's host; `None` if never, and in a list.
    pub started: Option<OffsetDateTime>,
    /// The network that it was created with, even if it has left it: a name, or `none`, `host`, `default`.
    pub network_mode: String,
    /// The networks that it is connected to, with its aliases there.
    pub networks: BTreeMap<String, Vec<String>>,
    /// Published ports; empty unless it is running.
    pub ports: Vec<PublishedPort>,
    /// Host name, which others on its networks find it by; empty in a list.
    pub hostname: String,
}

/// The settings of a new container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerSpec {
    /// Name.
    pub name: String,
    /// Reference or id of an image that is present.
    pub image: String,
    /// Replaces the image's entrypoint, unless it is empty.
    pub entrypoint: Vec<String>,
    /// Replaces the image's command, unless it is empty.
    pub command: Vec<String>,
    /// Environment variables. They never contain a secret.
    pub environment: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// The only network that it starts on.
    pub network: NetworkMode,
    /// Ports published on the engine's host.
    pub ports: Vec<PublishedPort>,
    /// What the engine does when the process exits.
    pub restart: Restart,
    /// Linux capabilities.
    pub capabilities: Capabilities,
    /// How standard input behaves.
    pub input: Input,
    /// What happens to the container after its process has exited.
    pub afterwards: Afterwards,
}

/// A mount of a new container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Absolute path inside the container.
    pub target: String,
}

/// The source of a mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum MountSource {
    /// A named volume.
    Volume(String),
    /// A folder of the engine's host, which must exist. It may contain colons.
    Host(String),
}

/// Network of a new container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum NetworkMode {
    /// No network.
    None,
    /// The network of the engine's host.
    Host,
    /// A user-defined network.
    Named {
        /// The network's name.
        name: String,
        /// Extra names on that network, besides the container's own.
        aliases: Vec<String>,
    },
}

/// Restart policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Restart {
    /// Never.
    No,
    /// Always, except after an explicit stop.
    UnlessStopped,
}

/// Linux capabilities of a new container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Capabilities {
    /// The engine's default set.
    Default,
    /// Only these (names without `CAP_`).
    Only(Vec<String>),
}

/// Standard input of a new container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Input {
    /// Closed from the start.
    Closed,
    /// Open until the first attached client disconnects (`OpenStdin`, `StdinOnce`).
    UntilClientLeaves,
}

/// What happens to a container after its process has exited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Afterwards {
    /// It is kept.
    Keep,
    /// The engine removes it (`AutoRemove`).
    Remove,
}
