//! State of the fake engine, and what its containers, images, networks and volumes do.
//!
//! Nothing here may count calls or make faults; `mod.rs` does. It never waits.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::super::{
    Afterwards, Container, ContainerSpec, ContainerState, DockerError, EngineInfo, Input, Mount,
    MountSource, Network, NetworkMode, NetworkSpec, Product, PublishedPort, Result, Volume,
};
use super::files::{Node, Tree, clean, moved, within};

/// Whose files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum View {
    Host,
    /// By name.
    Container(String),
}

/// Where a file really lies.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Store {
    Host,
    Volume(String),
    Root(String),
}

/// A container of the fake.
#[derive(Debug, Clone)]
pub(super) struct FakeContainer {
    pub(super) id: String,
    pub(super) spec: ContainerSpec,
    pub(super) state: ContainerState,
    pub(super) networks: BTreeMap<String, Vec<String>>,
    pub(super) output: String,
    ports: Vec<PublishedPort>,
    root: Tree,
}

#[derive(Debug)]
struct FakeVolume {
    labels: BTreeMap<String, String>,
    tree: Tree,
}

/// All that the fake engine knows.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) info: EngineInfo,
    pub(super) journal: Vec<String>,
    pub(super) logs: BTreeMap<String, String>,
    pub(super) refused: BTreeSet<String>,
    pub(super) pushed: Vec<String>,
    pub(super) busy_ports: BTreeSet<u16>,
    pub(super) containers: BTreeMap<String, FakeContainer>,
    pub(super) networks: BTreeMap<String, Network>,
    image_files: BTreeMap<String, BTreeMap<String, Node>>,
    images: BTreeMap<String, String>,
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
            },
            journal: Vec::new(),
            logs: BTreeMap::new(),
            refused: BTreeSet::new(),
            pushed: Vec::new(),
            busy_ports: BTreeSet::new(),
            containers: BTreeMap::new(),
            networks: BTreeMap::new(),
            image_files: BTreeMap::new(),
            images: BTreeMap::new(),
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

    /// An image appears under a reference; a new id where it names none.
    pub(super) fn tag(&mut self, reference: &str, id: Option<String>) {
        let id = id.unwrap_or_else(|| format!("sha256:{}", self.new_id()));
        self.images.insert(familiar(reference), id);
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

    /// A push goes to whoever publishes the port of the reference.
    pub(super) fn push(&mut self, reference: &str) -> Result<()> {
        if self.image(reference).is_none() {
            return Err(DockerError::Gone {
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
        if !self
            .containers
            .values()
            .any(|other| other.ports.iter().any(|published| published.host == port))
        {
            let cause = format!("dial tcp: connect to {registry}: connection refused");
            return Err(DockerError::Other {
                doing: format!("push {reference}"),
                cause,
            });
        }
        self.pushed.push(reference.to_owned());
        self.record(format!("push {reference}"));
        Ok(())
    }

    pub(super) fn add_image_file(&mut self, reference: &str, path: &str, node: Node) {
        self.image_files
            .entry(familiar(reference))
            .or_default()
            .insert(clean(path), node);
    }

    /// The text that a container of that image logs once it runs.
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

    // Containers

    /// The container of that name or id.
    pub(super) fn found(&mut self, name: &str) -> Result<&mut FakeContainer> {
        let named =
            |container: &&mut FakeContainer| container.spec.name == name || container.id == name;
        let gone = || DockerError::Gone {
            what: format!("container {name}"),
        };
        self.containers.values_mut().find(named).ok_or_else(gone)
    }

    pub(super) fn name_of(&self, name: &str) -> Option<String> {
        let named =
            |container: &&FakeContainer| container.spec.name == name || container.id == name;
        self.containers
            .values()
            .find(named)
            .map(|container| container.spec.name.clone())
    }

    pub(super) fn report(&self, name: &str) -> Option<Container> {
        let container = self.containers.get(&self.name_of(name)?)?;
        Some(Container {
            id: container.id.clone(),
            name: container.spec.name.clone(),
            image: container.spec.image.clone(),
            labels: container.spec.labels.clone(),
            state: container.state.clone(),
            networks: container.networks.clone(),
            ports: container.ports.clone(),
        })
    }

    pub(super) fn create(&mut self, spec: &ContainerSpec) -> Result<String> {
        if self.image(&spec.image).is_none() {
            return Err(DockerError::Gone {
                what: format!("image {}", spec.image),
            });
        }
        if self.containers.contains_key(&spec.name) {
            return Err(DockerError::NameTaken {
                name: spec.name.clone(),
            });
        }
        // The archive API and containers' processes need somewhere to stand.
        let mut root = Tree::new(&["/etc", "/root", "/run", "/tmp", "/usr", "/var", "/var/lib"]);
        let doing = format!("create container {}", spec.name);
        let refused = |cause: &dyn std::fmt::Display| DockerError::Other {
            doing: doing.clone(),
            cause: cause.to_string(),
        };
        for (path, node) in self
            .image_files
            .get(&familiar(&spec.image))
            .into_iter()
            .flatten()
        {
            root.put(path, node.clone())
                .map_err(|error| refused(&error))?;
        }
        for Mount { source, target } in &spec.mounts {
            root.put(&clean(target), Node::Folder { mode: 0o755 })
                .map_err(|error| refused(&error))?;
            match source {
                MountSource::Volume(name) => {
                    let fresh = || FakeVolume {
                        labels: BTreeMap::new(),
                        tree: Tree::new(&[]),
                    };
                    self.volumes.entry(name.clone()).or_insert_with(fresh);
                }
                MountSource::Host(path) if self.host.get(&clean(path)).is_none() => {
                    let cause = format!(
                        "invalid mount config for type \"bind\": bind source path does not exist: {path}"
                    );
                    return Err(refused(&cause));
                }
                MountSource::Host(_) => {}
            }
        }
        let networks = match &spec.network {
            NetworkMode::None => BTreeMap::new(),
            NetworkMode::Named { name, aliases } => {
                BTreeMap::from([(name.clone(), aliases.clone())])
            }
        };
        let container = FakeContainer {
            id: self.new_id(),
            spec: spec.clone(),
            state: ContainerState::Created,
            networks,
            output: String::new(),
            ports: Vec::new(),
            root,
        };
        let id = container.id.clone();
        self.containers.insert(spec.name.clone(), container);
        Ok(id)
    }

    /// Starts a container; whether it had to be. Its process is the caller's business.
    pub(super) fn start(&mut self, name: &str) -> Result<bool> {
        let container = self.found(name)?.clone();
        if container.state == ContainerState::Running {
            return Ok(false);
        }
        if let Some(network) = container
            .networks
            .keys()
            .find(|network| !self.networks.contains_key(*network))
        {
            let doing = format!("start container {name}");
            return Err(DockerError::Other {
                doing,
                cause: format!("network {network} not found"),
            });
        }
        let mut ports = container.spec.ports;
        for port in &mut ports {
            if port.host == 0 {
                port.host = 32768 + self.next();
            }
            let taken = |other: &PublishedPort| {
                other.host == port.host && overlap(&other.address, &port.address)
            };
            if self.busy_ports.contains(&port.host)
                || self.containers.values().any(|c| c.ports.iter().any(taken))
            {
                let cause = format!(
                    "failed to bind host port {}:{}/tcp: address already in use",
                    port.address, port.host
                );
                return Err(DockerError::PortTaken { cause });
            }
        }
        let log = self.image_log(&container.spec.image);
        let container = self.found(name)?;
        container.state = ContainerState::Running;
        container.ports = ports;
        container.output.push_str(&log);
        // The engine writes this file anew at each start (libnetwork, `buildHostsFile`).
        let hosts = Node::File {
            mode: 0o644,
            content: HOSTS.into(),
        };
        container.root.put("/etc/hosts", hosts).unwrap_or_default();
        Ok(true)
    }

    /// The process of a container ends.
    pub(super) fn end(&mut self, name: &str, code: i64) {
        if let Ok(container) = self.found(name) {
            container.state = ContainerState::Exited { code };
            container.ports.clear();
            let name = container.spec.name.clone();
            if container.spec.afterwards == Afterwards::Remove {
                self.containers.remove(&name);
            }
        }
    }

    /// The client of a container's standard input goes away.
    pub(super) fn client_left(&mut self, id: &str) {
        let ends = |container: &FakeContainer| {
            container.spec.input == Input::UntilClientLeaves
                && container.state == ContainerState::Running
        };
        if self.found(id).is_ok_and(|container| ends(container)) {
            self.end(id, 0);
        }
    }

    // Networks and volumes

    pub(super) fn create_network(&mut self, spec: &NetworkSpec) -> Result<()> {
        if self.networks.contains_key(&spec.name) {
            return Err(DockerError::NameTaken {
                name: spec.name.clone(),
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
            return Err(DockerError::Gone {
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

    // Files

    pub(super) fn node(&self, view: &View, path: &str) -> Option<&Node> {
        let (store, inner) = self.place(view, &clean(path));
        self.tree(&store)?.get(&inner)
    }

    /// All at and beneath a clean path.
    pub(super) fn nodes(&self, view: &View, path: &str) -> BTreeMap<String, Node> {
        let mut nodes = BTreeMap::new();
        for (target, store, base) in self.layers(view) {
            for (inner, node) in self
                .tree(&store)
                .into_iter()
                .flat_map(|tree| tree.under(&base))
            {
                let at = moved(inner, &base, &target);
                // A mount hides what is beneath it.
                if within(&at, path) && self.place(view, &at) == (store.clone(), inner.clone()) {
                    nodes.insert(at, node.clone());
                }
            }
        }
        nodes
    }

    pub(super) fn put(&mut self, view: &View, path: &str, node: Node) -> io::Result<()> {
        let (store, inner) = self.place(view, &clean(path));
        let tree = self.tree_mut(&store).ok_or(io::ErrorKind::NotFound)?;
        tree.put(&inner, node)
    }

    pub(super) fn remove_path(&mut self, view: &View, path: &str) -> bool {
        let (store, inner) = self.place(view, &clean(path));
        self.tree_mut(&store)
            .is_some_and(|tree| tree.remove(&inner))
    }

    /// What is seen where: target, store, and the path in the store.
    fn layers(&self, view: &View) -> Vec<(String, Store, String)> {
        let View::Container(name) = view else {
            return vec![("/".into(), Store::Host, "/".into())];
        };
        let mounts = self
            .containers
            .get(name)
            .into_iter()
            .flat_map(|container| &container.spec.mounts);
        let mounted = mounts.map(|Mount { source, target }| match source {
            MountSource::Volume(volume) => {
                (clean(target), Store::Volume(volume.clone()), "/".into())
            }
            MountSource::Host(path) => (clean(target), Store::Host, clean(path)),
        });
        [("/".into(), Store::Root(name.clone()), "/".into())]
            .into_iter()
            .chain(mounted)
            .collect()
    }

    /// The longest mount that holds a path has it.
    fn place(&self, view: &View, path: &str) -> (Store, String) {
        let layers = self
            .layers(view)
            .into_iter()
            .filter(|(target, ..)| within(path, target));
        let layer = layers.max_by_key(|(target, ..)| target.len());
        layer.map_or((Store::Host, path.to_owned()), |(target, store, base)| {
            (store, moved(path, &target, &base))
        })
    }

    fn tree(&self, store: &Store) -> Option<&Tree> {
        match store {
            Store::Host => Some(&self.host),
            Store::Volume(name) => self.volumes.get(name).map(|volume| &volume.tree),
            Store::Root(name) => self.containers.get(name).map(|container| &container.root),
        }
    }

    fn tree_mut(&mut self, store: &Store) -> Option<&mut Tree> {
        match store {
            Store::Host => Some(&mut self.host),
            Store::Volume(name) => self.volumes.get_mut(name).map(|volume| &mut volume.tree),
            Store::Root(name) => self
                .containers
                .get_mut(name)
                .map(|container| &mut container.root),
        }
    }
}

const HOSTS: &str = "127.0.0.1\tlocalhost\n";

/// Whether two published addresses compete for one port.
fn overlap(one: &str, other: &str) -> bool {
    let any = |address: &str| matches!(address, "" | "0.0.0.0" | "::");
    one == other || any(one) || any(other)
}

/// A reference as docker shows it: `docker.io/library/registry` is `registry:latest`.
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
