//! The state of the fake engine, and its images, networks and volumes. It never waits; `mod.rs` counts calls.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use time::OffsetDateTime;

use super::super::{
    ContainerSpec, ContainerState, DockerError, EngineInfo, ImageStore, MountSource, Network,
    NetworkSpec, Product, PublishedPort, Result, Volume,
};
use super::files::{Node, Tree, clean};
use crate::credentials::{RegistryCredentials, admits};
use crate::layout;
use crate::symptoms::catalogue::node::UNKNOWN_AUTHORITY;

mod containers;
mod mounts;

/// The owner of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum View {
    Host,
    /// By name.
    Container(String),
}

/// A container of the fake.
#[derive(Debug, Clone)]
pub(super) struct FakeContainer {
    pub(super) id: String,
    pub(super) image_id: String,
    pub(super) spec: ContainerSpec,
    /// Those of its image, and its own.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) state: ContainerState,
    pub(super) started: Option<OffsetDateTime>,
    pub(super) networks: BTreeMap<String, Vec<String>>,
    pub(super) output: String,
    pub(super) ports: Vec<PublishedPort>,
    root: Tree,
}

#[derive(Debug)]
struct FakeVolume {
    labels: BTreeMap<String, String>,
    tree: Tree,
}

/// Whether the engine's host has IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostIpv6 {
    Present,
    Missing,
}

/// The state of the fake engine.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) info: EngineInfo,
    pub(super) ipv6: HostIpv6,
    pub(super) journal: Vec<String>,
    pub(super) logs: BTreeMap<String, String>,
    pub(super) refused: BTreeSet<String>,
    pub(super) pushed: Vec<String>,
    pub(super) busy_ports: BTreeSet<u16>,
    pub(super) containers: BTreeMap<String, FakeContainer>,
    pub(super) networks: BTreeMap<String, Network>,
    image_files: BTreeMap<String, BTreeMap<String, Node>>,
    images: BTreeMap<String, String>,
    /// Labels of images, by id.
    image_labels: BTreeMap<String, BTreeMap<String, String>>,
    /// The containers that the engine does not remove, although it says so.
    pub(super) stuck: BTreeSet<String>,
    /// Archives that tests gave, by container and clean path.
    pub(super) archives: BTreeMap<(String, String), Bytes>,
    volumes: BTreeMap<String, FakeVolume>,
    host: Tree,
    serial: u16,
}

impl Engine {
    pub(super) fn new() -> Self {
        let mut host = Tree::new(&["/etc"]);
        let hosts = Node::File {
            mode: 0o644,
            content: HOSTS.into(),
        };
        host.put("/etc/hosts", hosts).unwrap_or_default();
        Self {
            info: EngineInfo {
                version: "29.9.3".into(),
                api: "1.53".into(),
                host: "fake".into(),
                operating_system: "Fake Linux".into(),
                architecture: "amd64".into(),
                product: Product::Docker,
                root: "/var/lib/docker".into(),
                image_store: ImageStore::Containerd,
                insecure_registries: vec!["::1/128".into(), "127.0.0.0/8".into()],
            },
            ipv6: HostIpv6::Present,
            journal: Vec::new(),
            logs: BTreeMap::new(),
            refused: BTreeSet::new(),
            pushed: Vec::new(),
            busy_ports: BTreeSet::new(),
            containers: BTreeMap::new(),
            networks: BTreeMap::new(),
            image_files: BTreeMap::new(),
            images: BTreeMap::new(),
            image_labels: BTreeMap::new(),
            stuck: BTreeSet::new(),
            archives: BTreeMap::new(),
            volumes: BTreeMap::new(),
            host,
            serial: 0,
        }
    }

    pub(super) fn record(&mut self, effect: String) {
        self.journal.push(effect);
    }

    fn next(&mut self) -> u16 {
        self.serial += 1;
        self.serial
    }

    fn new_id(&mut self) -> String {
        format!("{:064x}", self.next())
    }

    // Images

    pub(super) fn image(&self, reference: &str) -> Option<&String> {
        let by_id = self.images.values().find(|id| *id == reference);
        by_id.or_else(|| self.images.get(&familiar(reference)))
    }

    /// Adds an image with a reference. Without an id, it gets a new one.
    pub(super) fn tag(&mut self, reference: &str, id: Option<String>) {
        let id = id.unwrap_or_else(|| format!("sha256:{}", self.new_id()));
        self.images.insert(familiar(reference), id);
    }

    pub(super) fn image_labels(&self, image: &str) -> Option<BTreeMap<String, String>> {
        let id = self.image(image)?;
        Some(self.image_labels.get(id).cloned().unwrap_or_default())
    }

    /// Adds an image with the labels of a container, as `docker commit` does.
    pub(super) fn commit(&mut self, container: &str, reference: &str) {
        let Ok(labels) = self.found(container).map(|found| found.labels.clone()) else {
            return;
        };
        self.tag(reference, None);
        if let Some(id) = self.image(reference).cloned() {
            self.image_labels.insert(id, labels);
        }
    }

    pub(super) fn pull(&mut self, reference: &str) -> Result<()> {
        if self.refused.contains(&familiar(reference)) {
            let cause = format!(
                "pull access denied for {reference}, repository does not exist or may require login"
            );
            return Err(DockerError::Pull {
                image: reference.into(),
                cause,
            });
        }
        if self.image(reference).is_none() {
            self.tag(reference, None);
            self.record(format!("pull {reference}"));
        }
        Ok(())
    }

    pub(super) fn remove_image(&mut self, reference: &str) {
        let before = self.images.len();
        let tag = familiar(reference);
        self.images
            .retain(|name, id| *name != tag && id != reference);
        if self.images.len() < before {
            self.record(format!("remove image {reference}"));
        }
    }

    /// Pushes an image to the container that publishes the port of the reference.
    pub(super) fn push(
        &mut self,
        reference: &str,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<()> {
        if self.image(reference).is_none() {
            return Err(DockerError::Missing {
                what: format!("image {reference}"),
            });
        }
        let (registry, _) = reference
            .split_once('/')
            .unwrap_or(("docker.io", reference));
        let port = registry
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .unwrap_or(443);
        if self.busy_ports.contains(&port) {
            self.record(format!("push {reference} to a stranger"));
            return Ok(());
        }
        let refusal = match self.publisher(port) {
            None => Some(format!(
                "dial tcp: connect to {registry}: connection refused"
            )),
            Some(container) => {
                let distrust = self.distrusts(registry, container);
                distrust.or_else(|| self.refuses(container, credentials).map(str::to_owned))
            }
        };
        if let Some(cause) = refusal {
            return Err(DockerError::Other {
                doing: format!("push {reference}"),
                cause,
            });
        }
        self.pushed.push(reference.to_owned());
        self.record(format!("push {reference}"));
        Ok(())
    }

    /// Returns the running container that publishes a port.
    pub(super) fn publisher(&self, port: u16) -> Option<&FakeContainer> {
        let publishes =
            |other: &&FakeContainer| other.ports.iter().any(|published| published.host == port);
        self.containers.values().find(publishes)
    }

    /// Returns why the engine refuses a registry on localhost; `None` if it trusts it, or does not verify. Like Docker
    /// 29.9, it verifies only if its image store is containerd's and a hosts.toml names the server.
    fn distrusts(&self, domain: &str, container: &FakeContainer) -> Option<String> {
        if self.info.image_store == ImageStore::Classic {
            return None;
        }
        let folder = format!("/etc/docker/certs.d/{domain}");
        let file = |view: &View, path: &str| match self.node(view, path) {
            Some(Node::File { content, .. }) => Some(content.clone()),
            _ => None,
        };
        let hosts = file(&View::Host, &format!("{folder}/hosts.toml"))?;
        let hosts: toml::Table = String::from_utf8_lossy(&hosts).parse().ok()?;
        let ca = hosts.get("ca").and_then(toml::Value::as_str);
        let trusted = ca.and_then(|ca| file(&View::Host, &format!("{folder}/{ca}")));
        let view = View::Container(container.spec.name.clone());
        let signer = file(&view, &format!("{}/{}", layout::SECRET, layout::SECRET_CA));
        (trusted.is_none() || trusted != signer).then(|| {
            format!("Head \"https://{domain}/v2/\": tls: failed to verify certificate: {UNKNOWN_AUTHORITY}")
        })
    }

    /// Returns why a registry container refuses these credentials; `None` if it accepts them.
    fn refuses(
        &self,
        container: &FakeContainer,
        credentials: Option<&RegistryCredentials>,
    ) -> Option<&'static str> {
        let file = container
            .spec
            .environment
            .get("REGISTRY_AUTH_HTPASSWD_PATH")?;
        let view = View::Container(container.spec.name.clone());
        let users = match self.node(&view, file) {
            Some(Node::File { content, .. }) => String::from_utf8_lossy(content),
            _ => "".into(),
        };
        match credentials {
            None => Some("no basic auth credentials"),
            Some(credentials) if admits(&users, credentials) => None,
            Some(_) => Some("unauthorized: authentication required"),
        }
    }

    pub(super) fn add_image_file(&mut self, reference: &str, path: &str, node: Node) {
        self.image_files
            .entry(familiar(reference))
            .or_default()
            .insert(clean(path), node);
    }

    /// Returns what containers of an image log while they run.
    fn image_log(&self, reference: &str) -> String {
        let named = self
            .images
            .iter()
            .find(|(_, id)| *id == reference)
            .map(|(name, _)| name.clone());
        self.logs
            .get(&named.unwrap_or_else(|| familiar(reference)))
            .cloned()
            .unwrap_or_default()
    }

    // Housekeeping

    /// Removes containers that do not run.
    pub(super) fn prune_containers(&mut self) {
        self.containers
            .retain(|_, container| container.state == ContainerState::Running);
    }

    /// Removes networks and images that no container uses, and keeps named volumes.
    pub(super) fn prune_the_rest(&mut self) {
        let containers = &self.containers;
        self.networks.retain(|name, _| {
            let mut all = containers.values();
            all.any(|container| container.networks.contains_key(name))
        });
        self.images.retain(|_, id| {
            let mut all = containers.values();
            all.any(|container| container.image_id == *id)
        });
    }

    // Networks and volumes

    pub(super) fn create_network(&mut self, spec: &NetworkSpec) -> Result<()> {
        if self.networks.contains_key(&spec.name) {
            return Err(DockerError::NameTaken {
                name: spec.name.clone(),
            });
        }
        if spec.ipv6_subnet.is_some() && self.ipv6 == HostIpv6::Missing {
            return Err(DockerError::Other {
                doing: format!("create network {}", spec.name),
                cause: "Cannot read IPv6 setup for bridge br-1: no such file or directory".into(),
            });
        }
        let id = self.new_id();
        let ipv6 = spec
            .ipv6_subnet
            .as_ref()
            .and_then(|subnet| subnet.split_once("::"));
        let gateways = [format!("172.{}.0.1", 17 + self.networks.len())];
        let gateways = gateways
            .into_iter()
            .chain(ipv6.map(|(prefix, _)| format!("{prefix}::1")))
            .collect();
        let network = Network {
            id,
            name: spec.name.clone(),
            labels: spec.labels.clone(),
            gateways,
        };
        self.networks.insert(spec.name.clone(), network);
        Ok(())
    }

    pub(super) fn remove_network(&mut self, name: &str) -> Result<()> {
        let on_it = |container: &&FakeContainer| {
            container.state == ContainerState::Running && container.networks.contains_key(name)
        };
        if let Some(container) = self.containers.values().find(on_it) {
            let cause = format!("network has active endpoints: {}", container.spec.name);
            return Err(DockerError::Other {
                doing: format!("remove network {name}"),
                cause,
            });
        }
        if self.networks.remove(name).is_some() {
            self.record(format!("remove network {name}"));
        }
        Ok(())
    }

    pub(super) fn connect(
        &mut self,
        network: &str,
        container: &str,
        aliases: &[String],
    ) -> Result<()> {
        if !self.networks.contains_key(network) {
            return Err(DockerError::Missing {
                what: format!("network {network}"),
            });
        }
        let found = self.found(container)?;
        if !found.networks.contains_key(network) {
            found.networks.insert(network.to_owned(), aliases.to_vec());
            self.record(format!("connect {container} to {network}"));
        }
        Ok(())
    }

    pub(super) fn volume(&self, name: &str) -> Option<Volume> {
        let labels = self.volumes.get(name)?.labels.clone();
        Some(Volume {
            name: name.to_owned(),
            labels,
        })
    }

    pub(super) fn volumes(&self) -> Vec<Volume> {
        self.volumes
            .keys()
            .filter_map(|name| self.volume(name))
            .collect()
    }

    pub(super) fn create_volume(&mut self, volume: &Volume) -> Result<()> {
        match self.volumes.get(&volume.name) {
            Some(present) if present.labels == volume.labels => Ok(()),
            Some(_) => Err(DockerError::NameTaken {
                name: volume.name.clone(),
            }),
            None => {
                let fresh = FakeVolume {
                    labels: volume.labels.clone(),
                    tree: Tree::new(&[]),
                };
                self.volumes.insert(volume.name.clone(), fresh);
                self.record(format!("create volume {}", volume.name));
                Ok(())
            }
        }
    }

    pub(super) fn remove_volume(&mut self, name: &str) -> Result<()> {
        let source = MountSource::Volume(name.to_owned());
        let users = |container: &&FakeContainer| {
            container
                .spec
                .mounts
                .iter()
                .any(|mount| mount.source == source)
        };
        if let Some(user) = self.containers.values().find(users) {
            let cause = format!("volume is in use - [{}]", user.spec.name);
            return Err(DockerError::Other {
                doing: format!("remove volume {name}"),
                cause,
            });
        }
        if self.volumes.remove(name).is_some() {
            self.record(format!("remove volume {name}"));
        }
        Ok(())
    }
}

const HOSTS: &str = "127.0.0.1\tlocalhost\n";

/// Returns a reference as docker shows it: `registry:latest` for `docker.io/library/registry`.
pub(super) fn familiar(reference: &str) -> String {
    let short = reference.strip_prefix("docker.io/").unwrap_or(reference);
    let short = short.strip_prefix("library/").unwrap_or(short);
    let name = short.rsplit_once('/').map_or(short, |(_, name)| name);
    if name.contains([':', '@']) {
        short.to_owned()
    } else {
        format!("{short}:latest")
    }
}
