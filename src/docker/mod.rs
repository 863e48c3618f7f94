//! The port to the Docker engine: the trait [`Docker`] and its plain types.
//!
//! Nothing here uses bollard. Removing an absent object and connecting a connected container are `Ok`: an adapter
//! returns a 404 or 409 only if its caller has to decide.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::credentials::RegistryCredentials;

pub mod address;
pub mod bollard;
mod container;
#[cfg(any(test, feature = "fakes"))]
pub mod fake;
pub mod limited;
pub mod read_cache;
pub mod traced;

pub use container::{
    Afterwards, Capabilities, Container, ContainerSpec, ContainerState, Input, Mount, MountSource,
    NetworkMode, PublishedPort, Restart,
};

/// Why a call to the engine failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DockerError {
    /// No engine answers at its address.
    #[error("no Docker engine answers at {address}: {cause}")]
    Unreachable {
        /// The engine's address, as docker writes it (`unix:///var/run/docker.sock`).
        address: String,
        /// The transport's error.
        cause: String,
    },
    /// This user may not use the engine.
    #[error("permission denied at {address}")]
    Denied {
        /// The engine's address.
        address: String,
    },
    /// Another container, network or volume has the name.
    #[error("the name {name} is already in use")]
    NameTaken {
        /// The requested name.
        name: String,
    },
    /// Another container or process uses the host port.
    #[error("{cause}")]
    PortTaken {
        /// The engine's message.
        cause: String,
    },
    /// The engine's disk is full.
    #[error("{doing}: {cause}")]
    NoSpace {
        /// The call, as a phrase ("start container x").
        doing: String,
        /// The engine's message.
        cause: String,
    },
    /// The object does not exist, or no longer.
    #[error("{what} does not exist")]
    Missing {
        /// The container, image, network or volume, as a phrase ("container x").
        what: String,
    },
    /// The image can't be pulled from its registry.
    #[error("can't pull image {image}: {cause}")]
    Pull {
        /// The image reference.
        image: String,
        /// The engine's message.
        cause: String,
    },
    /// A path of a container has more bytes than kindreg reads.
    #[error("{what} is larger than {} MiB", MAX_DOWNLOAD >> 20)]
    TooLarge {
        /// The path, as a phrase ("/etc of container x").
        what: String,
    },
    /// The run was stopped, and the engine had not answered a moment later.
    #[error("stopped")]
    Stopped,
    /// Any other failure.
    #[error("{doing}: {cause}")]
    Other {
        /// The call, as a phrase ("start container x").
        doing: String,
        /// The message of the engine or the transport.
        cause: String,
    },
}

/// The most bytes that are read of a path of a container, as an archive. Everything that kindreg looks for is small, and
/// what else a container has there is not trusted.
pub const MAX_DOWNLOAD: usize = 4 << 20;
/// The most bytes that are kept of what a command or a container prints. The nodes of a large cluster, as JSON, are 1 MiB.
pub const MAX_OUTPUT: usize = 4 << 20;

/// Result of a call to the engine.
pub type Result<T> = std::result::Result<T, DockerError>;

/// The engine's version and its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Version of the engine, such as `29.9.3`.
    pub version: String,
    /// Version of the API that is in use.
    pub api: String,
    /// Name of the engine's host.
    pub host: String,
    /// Operating system, as the engine names it; `Docker Desktop` in Docker Desktop.
    pub operating_system: String,
    /// Architecture, as images name it: `amd64`, `arm64`, …
    pub architecture: String,
    /// The product.
    pub product: Product,
    /// The engine's data folder on its host.
    pub root: String,
    /// Where it keeps images, which also decides how it finds the CA of a registry.
    pub image_store: ImageStore,
    /// The registries and networks whose certificates it does not verify, as it names them.
    pub insecure_registries: Vec<String>,
}

/// Where an engine keeps its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageStore {
    /// In a store of its own. It reads `*.crt` in certs.d, and verifies nothing on loopback unless Docker is 29.10 or
    /// later and `insecure-registries` is set: <https://docs.docker.com/engine/storage/drivers/>.
    Classic,
    /// In containerd. It reads hosts.toml in certs.d first: <https://docs.docker.com/engine/storage/containerd/>.
    Containerd,
}

/// The product that implements the Docker API, and whether it runs as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Docker that runs as root.
    Docker,
    /// Docker in rootless mode.
    RootlessDocker,
    /// Podman's compatible API.
    Podman,
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

/// The settings of a new bridge network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// An IPv6 subnet in CIDR notation; `None` for IPv4 only.
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

/// What a path of a container is. A link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A device, pipe or socket.
    Other,
}

/// The result of a command in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code.
    pub code: i64,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// Labels to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label<'a> {
    /// A key with any value.
    Key(&'a str),
    /// A key with this value.
    Pair(&'a str, &'a str),
}

impl Label<'_> {
    /// Returns whether these labels have it.
    #[must_use]
    pub fn is_in(self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Key(key) => labels.contains_key(key),
            Self::Pair(key, value) => labels.get(key).is_some_and(|found| found == value),
        }
    }
}

impl std::fmt::Display for Label<'_> {
    /// Writes it as docker's filters do.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Pair(key, value) => write!(f, "{key}={value}"),
        }
    }
}

/// Returns the ports of the engine's host that containers publish, sorted and without duplicates.
fn host_ports(containers: impl Iterator<Item = Container>) -> Vec<u16> {
    let published = containers.flat_map(|container| container.ports);
    let ports: std::collections::BTreeSet<u16> = published.map(|port| port.host).collect();
    ports.into_iter().collect()
}

/// Keeps a container's standard input open until it is dropped.
#[async_trait]
pub trait Attached: Send + Sync + std::fmt::Debug {
    /// Writes a byte at once and at each interval, until the engine ends the connection: the container has ended, or the
    /// engine has.
    async fn keep(&self, interval: Duration);
}

/// A Docker engine.
///
/// A container is identified by name or id. All sizes are in bytes. Every call may fail with any [`DockerError`]; the
/// methods' docs list those that callers may want to handle.
#[async_trait]
pub trait Docker: Send + Sync + std::fmt::Debug {
    /// Returns the engine's version and its host.
    async fn info(&self) -> Result<EngineInfo>;

    /// Returns the id of an image, or `None` if it is not present.
    async fn image(&self, reference: &str) -> Result<Option<String>>;
    /// Returns the labels of an image by reference or id, or `None` if it is not present.
    async fn image_labels(&self, image: &str) -> Result<Option<BTreeMap<String, String>>>;
    /// Pulls an image. Fails with [`DockerError::Pull`] if the registry does not provide it.
    async fn pull(&self, reference: &str) -> Result<()>;
    /// Loads a docker archive (with `manifest.json` at its top).
    async fn load(&self, archive: Bytes) -> Result<()>;
    /// Pushes an image that is present to the registry in its reference, with or without credentials.
    async fn push(&self, reference: &str, credentials: Option<&RegistryCredentials>) -> Result<()>;
    /// Removes an image reference, and the image if that was its last one. An absent one is `Ok`.
    async fn remove_image(&self, reference: &str) -> Result<()>;

    /// Returns a container by name or id, or `None`.
    async fn container(&self, name: &str) -> Result<Option<Container>>;
    /// Returns the containers in any state with the label. Their `networks` and `ports` may be incomplete.
    async fn containers(&self, label: Label<'_>) -> Result<Vec<Container>>;
    /// Returns the running containers on a network, by its name. Their `networks` and `ports` may be incomplete.
    async fn members(&self, network: &str) -> Result<Vec<Container>>;
    /// Returns the ports of the engine's host that running containers publish, sorted and without duplicates.
    async fn published_ports(&self) -> Result<Vec<u16>>;
    /// Creates a container without starting it, and returns its id. Fails with [`DockerError::NameTaken`] if its name
    /// is in use.
    async fn create(&self, spec: &ContainerSpec) -> Result<String>;
    /// Starts a container; one that is running is `Ok`. Fails with [`DockerError::PortTaken`] if a port is in use.
    async fn start(&self, name: &str) -> Result<()>;
    /// Stops a container, and kills it after `grace` seconds. An absent or stopped one is `Ok`.
    async fn stop(&self, name: &str, grace: u32) -> Result<()>;
    /// Waits until a container's process exits, and returns its exit code.
    async fn wait(&self, name: &str) -> Result<i64>;
    /// Kills a container, and removes it with its anonymous volumes. An absent one is `Ok`. Returns after it is
    /// removed.
    async fn remove(&self, name: &str) -> Result<()>;
    /// Returns the last `lines` lines of a container's output, standard output and standard error together, and of those
    /// no more than the last [`MAX_OUTPUT`] bytes.
    async fn logs(&self, name: &str, lines: u32) -> Result<String>;
    /// Attaches to a container's standard input until the returned value is dropped.
    async fn attach(&self, name: &str) -> Result<Box<dyn Attached>>;
    /// Runs a command in a running container with `input` as its standard input. Fails with [`DockerError::Missing`] if
    /// the container is absent or stopped, and with [`DockerError::TooLarge`] if it prints more than [`MAX_OUTPUT`].
    async fn exec(&self, name: &str, command: &[&str], input: &[u8]) -> Result<ExecOutput>;
    /// Unpacks a tar archive in an existing folder of a container in any state, mounts included.
    async fn upload(&self, name: &str, folder: &str, archive: Bytes) -> Result<()>;
    /// Returns what a path of a container in any state is, or `None` if the path or the container is absent. Reads no
    /// content.
    async fn stat(&self, name: &str, path: &str) -> Result<Option<PathKind>>;
    /// Returns a path of a container in any state as a tar archive, or `None` if the path or the container is absent.
    /// A link is an archive of the link. Fails with [`DockerError::TooLarge`] after [`MAX_DOWNLOAD`] bytes.
    async fn download(&self, name: &str, path: &str) -> Result<Option<Bytes>>;

    /// Returns a network by its exact name, or `None`.
    async fn network(&self, name: &str) -> Result<Option<Network>>;
    /// Returns the networks with the label.
    async fn networks(&self, label: Label<'_>) -> Result<Vec<Network>>;
    /// Creates a bridge network. Fails with [`DockerError::NameTaken`] if its name is in use.
    async fn create_network(&self, spec: &NetworkSpec) -> Result<()>;
    /// Removes a network. An absent one is `Ok`.
    async fn remove_network(&self, name: &str) -> Result<()>;
    /// Connects a container to a network with aliases. A connected one is `Ok`.
    async fn connect(&self, network: &str, container: &str, aliases: &[String]) -> Result<()>;

    /// Returns a volume, or `None`.
    async fn volume(&self, name: &str) -> Result<Option<Volume>>;
    /// Returns the volumes with the label.
    async fn volumes(&self, label: Label<'_>) -> Result<Vec<Volume>>;
    /// Creates a volume with the default driver. Fails with [`DockerError::NameTaken`] if one of that name has other
    /// labels.
    async fn create_volume(&self, volume: &Volume) -> Result<()>;
    /// Removes a volume. An absent one is `Ok`.
    async fn remove_volume(&self, name: &str) -> Result<()>;
}
