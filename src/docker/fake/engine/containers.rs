//! The containers of the fake engine: creation, start and exit. Nothing here runs their commands.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{Engine, FakeContainer, FakeVolume, HOSTS, familiar};
use crate::docker::fake::files::{Node, Tree, clean};
use crate::docker::{
    Afterwards, Container, ContainerSpec, ContainerState, DockerError, Input, Mount, MountSource,
    NetworkMode, PublishedPort, Result,
};

impl Engine {
    /// Returns the container of that name or id.
    pub(in crate::docker::fake) fn found(&mut self, name: &str) -> Result<&mut FakeContainer> {
        let named =
            |container: &&mut FakeContainer| container.spec.name == name || container.id == name;
        let gone = || DockerError::Missing {
            what: format!("container {name}"),
        };
        self.containers.values_mut().find(named).ok_or_else(gone)
    }

    pub(in crate::docker::fake) fn name_of(&self, name: &str) -> Option<String> {
        let named =
            |container: &&FakeContainer| container.spec.name == name || container.id == name;
        self.containers
            .values()
            .find(named)
            .map(|container| container.spec.name.clone())
    }

    pub(in crate::docker::fake) fn report(&self, name: &str) -> Option<Container> {
        let container = self.containers.get(&self.name_of(name)?)?;
        Some(Container {
            id: container.id.clone(),
            name: container.spec.name.clone(),
            image: container.spec.image.clone(),
            image_id: container.image_id.clone(),
            labels: container.labels.clone(),
            state: container.state.clone(),
            network_mode: match &container.spec.network {
                NetworkMode::None => "none".to_owned(),
                NetworkMode::Host => "host".to_owned(),
                NetworkMode::Named { name, .. } => name.clone(),
            },
            networks: container.networks.clone(),
            ports: container.ports.clone(),
            hostname: container.id.chars().take(12).collect(),
            started: container.started,
        })
    }

    pub(in crate::docker::fake) fn create(&mut self, spec: &ContainerSpec) -> Result<String> {
        let Some(image_id) = self.image(&spec.image).cloned() else {
            return Err(DockerError::Missing {
                what: format!("image {}", spec.image),
            });
        };
        let mut labels = self.image_labels(&spec.image).unwrap_or_default();
        labels.extend(spec.labels.clone());
        if self.containers.contains_key(&spec.name) {
            return Err(DockerError::NameTaken {
                name: spec.name.clone(),
            });
        }
        // The archive API and containers' processes need these folders.
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
            NetworkMode::None | NetworkMode::Host => BTreeMap::new(),
            NetworkMode::Named { name, aliases } => {
                BTreeMap::from([(name.clone(), aliases.clone())])
            }
        };
        let container = FakeContainer {
            id: self.new_id(),
            image_id,
            spec: spec.clone(),
            labels,
            state: ContainerState::Created,
            started: None,
            networks,
            output: String::new(),
            ports: Vec::new(),
            root,
        };
        let id = container.id.clone();
        self.containers.insert(spec.name.clone(), container);
        Ok(id)
    }

    /// Starts a container, and returns whether it was not running. The caller runs its process.
    pub(in crate::docker::fake) fn start(&mut self, name: &str) -> Result<bool> {
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
        container.started = Some(OffsetDateTime::now_utc());
        container.ports = ports;
        container.output.push_str(&log);
        // The engine rewrites this file at each start (libnetwork, `buildHostsFile`).
        let hosts = Node::File {
            mode: 0o644,
            content: HOSTS.into(),
        };
        container.root.put("/etc/hosts", hosts).unwrap_or_default();
        Ok(true)
    }

    /// Makes a container's process exit.
    pub(in crate::docker::fake) fn end(&mut self, name: &str, code: i64) {
        if let Ok(container) = self.found(name) {
            container.state = ContainerState::Exited { code };
            container.ports.clear();
            let name = container.spec.name.clone();
            if container.spec.afterwards == Afterwards::Remove {
                self.containers.remove(&name);
            }
        }
    }

    /// Disconnects the client of a container's standard input.
    pub(in crate::docker::fake) fn client_left(&mut self, id: &str) {
        let ends = |container: &FakeContainer| {
            container.spec.input == Input::UntilClientLeaves
                && container.state == ContainerState::Running
        };
        if self.found(id).is_ok_and(|container| ends(container)) {
            self.end(id, 0);
        }
    }
}

/// Returns whether two published addresses overlap, so that both can't use one port.
fn overlap(one: &str, other: &str) -> bool {
    let any = |address: &str| matches!(address, "" | "0.0.0.0" | "::");
    one == other || any(one) || any(other)
}
