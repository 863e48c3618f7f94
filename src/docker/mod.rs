//! The Docker engine in our words: the port, and the plain types that cross it.
//!
//! Nothing here may name bollard. Removing what is absent, and connecting what is connected, is `Ok` inside the
//! adapter: a 404 or 409 leaves it only where a caller decides on it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;

use crate::credentials::RegistryCredentials;

pub mod address;
pub mod bollard;
#[cfg(any(test, feature = "fakes"))]
pub mod fake;
pub mod round;
pub mod traced;

/// What a call on the engine came to, where it failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DockerError {
    /// Nothing answers at the engine's address.
    #[error("no Docker engine answers at {address}: {cause}")]
    Unreachable {
        /// Where we asked, as docker writes it (`unix:///var/run/docker.sock`).
        address: String,
        /// What the transport said.
        cause: String,
    },
    /// The engine is there, and this user may not talk to it.
    #[error("permission denied at {address}")]
    Denied {
        /// Where we asked.
        address: String,
    },
    /// The name is taken: another container, network or volume has it.
    #[error("the name {name} is taken")]
    NameTaken {
        /// The name that was asked for.
        name: String,
    },
    /// The host port is taken by another container or process.
    #[error("{cause}")]
    PortTaken {
        /// What the engine said.
        cause: String,
    },
    /// The engine's disk is full.
    #[error("{doing}: {cause}")]
    NoSpace {
        /// What was being done.
        doing: String,
        /// What the engine said.
        cause: String,
    },
    /// The object is not there (any more).
    #[error("{what} is not there")]
    Gone {
        /// The container, image, network or volume that was asked for.
        what: String,
    },
    /// The image can't be had from its registry.
    #[error("can't pull {image}: {cause}")]
    Pull {
        /// The reference that was asked for.
        image: String,
        /// What the engine said.
        cause: String,
    },
    /// Anything else that the engine refused.
    #[error("{doing}: {cause}")]
    Other {
        /// What was being done, as a phrase ("start container x").
        doing: String,
        /// What the engine or the transport said.
        cause: String,
    },
}

/// Result of a call on the engine.
pub type Result<T> = std::result::Result<T, DockerError>;

/// What the engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Version of the engine, such as `29.9.3`.
    pub version: String,
    /// Version of the API in use with it.
    pub api: String,
    /// Name of the engine's host.
    pub host: String,
    /// Operating system as the engine names it (`Docker Desktop` tells Desktop apart).
    pub operating_system: String,
    /// Processor as images name it: `amd64`, `arm64`, …
    pub architecture: String,
    /// Which product answers.
    pub product: Product,
    /// Folder of the engine's data on its host.
    pub root: String,
}

/// Which product answers the Docker API, and whose rights it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Docker with root's rights.
    Docker,
    /// Docker without root's rights.
    RootlessDocker,
    /// Podman's compatible API.
    Podman,
}

/// State of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Its process runs.
    Running,
    /// Its process ended.
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
    /// Image reference it was made from.
    pub image: String,
    /// All labels, the image's included.
    pub labels: BTreeMap<String, String>,
    /// State now.
    pub state: ContainerState,
    /// The network that it was made for, whether it is on it or not: a name, or `none`, `host`, `default`.
    pub made_for: String,
    /// Networks it is on: name to aliases.
    pub networks: BTreeMap<String, Vec<String>>,
    /// Published ports; empty while it does not run.
    pub ports: Vec<PublishedPort>,
}

/// What a new container is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerSpec {
    /// Name.
    pub name: String,
    /// Image reference or id; must be present.
    pub image: String,
    /// Replaces the image's entrypoint where not empty.
    pub entrypoint: Vec<String>,
    /// Replaces the image's command where not empty.
    pub command: Vec<String>,
    /// Environment. Never a secret.
    pub environment: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// The one network it starts on.
    pub network: NetworkMode,
    /// Ports published on the engine's host.
    pub ports: Vec<PublishedPort>,
    /// What the engine does when the process ends.
    pub restart: Restart,
    /// Linux capabilities.
    pub capabilities: Capabilities,
    /// How standard input behaves.
    pub input: Input,
    /// What happens to the container once its process ended.
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

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum MountSource {
    /// A named volume.
    Volume(String),
    /// A folder of the engine's host, which must exist (mounts API, so that colons are no separators).
    Host(String),
}

/// Network of a new container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum NetworkMode {
    /// None at all.
    None,
    /// A user-defined network, with names that answer on it.
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
    /// Always, but not after an explicit stop.
    UnlessStopped,
}

/// Linux capabilities of a new container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Capabilities {
    /// The engine's default set.
    Default,
    /// These and no others (names without `CAP_`).
    Only(Vec<String>),
}

/// Standard input of a new container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Input {
    /// Nothing is attached.
    Closed,
    /// Open until the first client that attached goes away (`OpenStdin`, `StdinOnce`).
    UntilClientLeaves,
}

/// What becomes of a container once its process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Afterwards {
    /// It stays.
    Keep,
    /// The engine removes it (`AutoRemove`).
    Remove,
}

/// A network as the engine reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Full id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Gateway addresses.
    pub gateways: Vec<String>,
}

/// What a new bridge network is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// An IPv6 subnet in CIDR form, or IPv4 only.
    pub ipv6_subnet: Option<String>,
}

/// A volume as the engine reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// What a command in a container came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code.
    pub code: i64,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// Ports of the engine's host that containers publish, each once, sorted.
fn host_ports(containers: impl Iterator<Item = Container>) -> Vec<u16> {
    let published = containers.flat_map(|container| container.ports);
    let ports: std::collections::BTreeSet<u16> = published.map(|port| port.host).collect();
    ports.into_iter().collect()
}

/// Keeps a container's standard input open for as long as it lives.
pub trait Attached: Send + Sync + std::fmt::Debug {}

/// A Docker engine.
///
/// Containers are named by name or id. All sizes are in bytes.
#[async_trait]
pub trait Docker: Send + Sync + std::fmt::Debug {
    /// What the engine says of itself.
    async fn info(&self) -> Result<EngineInfo>;

    /// The id of an image that is present, or `None`.
    async fn image(&self, reference: &str) -> Result<Option<String>>;
    /// Pulls an image. [`DockerError::Pull`] where it can't be had.
    async fn pull(&self, reference: &str) -> Result<()>;
    /// Loads a docker archive (`manifest.json` at its top).
    async fn load(&self, archive: Bytes) -> Result<()>;
    /// Pushes a present image to the registry that its reference names, with these credentials or none.
    async fn push(&self, reference: &str, credentials: Option<&RegistryCredentials>) -> Result<()>;
    /// Removes a reference, and the image if it was the last one. Absent is `Ok`.
    async fn remove_image(&self, reference: &str) -> Result<()>;

    /// A container by name or id, or `None`.
    async fn container(&self, name: &str) -> Result<Option<Container>>;
    /// Containers in any state that carry the label `key=value` (`networks` and `ports` may be incomplete).
    async fn containers(&self, key: &str, value: &str) -> Result<Vec<Container>>;
    /// Ports of the engine's host that any running container publishes, each once, sorted.
    async fn published_ports(&self) -> Result<Vec<u16>>;
    /// Makes a container, without starting it; its id. [`DockerError::NameTaken`] where the name is.
    async fn create(&self, spec: &ContainerSpec) -> Result<String>;
    /// Starts a container; one that runs is `Ok`. [`DockerError::PortTaken`] where a port is.
    async fn start(&self, name: &str) -> Result<()>;
    /// Stops a container, killing it after `grace` seconds; absent or stopped is `Ok`.
    async fn stop(&self, name: &str, grace: u32) -> Result<()>;
    /// Waits until a container's process ends; its exit code.
    async fn wait(&self, name: &str) -> Result<i64>;
    /// Removes a container, killing it first, with its anonymous volumes. Absent is `Ok`, once it is really gone.
    async fn remove(&self, name: &str) -> Result<()>;
    /// The container's output so far, standard output and error together, the last `lines` lines.
    async fn logs(&self, name: &str, lines: u32) -> Result<String>;
    /// Attaches to a container's standard input; it counts as left once the value is dropped.
    async fn attach(&self, name: &str) -> Result<Box<dyn Attached>>;
    /// Runs a command in a running container, feeding it `input`. [`DockerError::Gone`] where it is absent or stopped.
    async fn exec(&self, name: &str, command: &[&str], input: &[u8]) -> Result<ExecOutput>;
    /// Unpacks a tar archive at an existing folder of a container in any state, mounts included.
    async fn upload(&self, name: &str, folder: &str, archive: Bytes) -> Result<()>;
    /// A path of a container in any state as a tar archive, or `None` where path or container are absent.
    async fn download(&self, name: &str, path: &str) -> Result<Option<Bytes>>;

    /// A network by its exact name, or `None`.
    async fn network(&self, name: &str) -> Result<Option<Network>>;
    /// Networks that carry the label `key=value`.
    async fn networks(&self, key: &str, value: &str) -> Result<Vec<Network>>;
    /// Makes a bridge network. [`DockerError::NameTaken`] where the name is.
    async fn create_network(&self, spec: &NetworkSpec) -> Result<()>;
    /// Removes a network. Absent is `Ok`.
    async fn remove_network(&self, name: &str) -> Result<()>;
    /// Puts a container on a network with aliases. Connected already is `Ok`.
    async fn connect(&self, network: &str, container: &str, aliases: &[String]) -> Result<()>;

    /// A volume, or `None`.
    async fn volume(&self, name: &str) -> Result<Option<Volume>>;
    /// Volumes that carry the label `key=value`.
    async fn volumes(&self, key: &str, value: &str) -> Result<Vec<Volume>>;
    /// Makes a volume of the default driver. One of that name with other labels is [`DockerError::NameTaken`].
    async fn create_volume(&self, volume: &Volume) -> Result<()>;
    /// Removes a volume. Absent is `Ok`.
    async fn remove_volume(&self, name: &str) -> Result<()>;
}
