//! All objects with a cluster's label. `down` needs them if there is no record, and to find leftovers.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::Result;

use super::{is_load_balancer, our_kind_containers, owns};
use crate::docker::{Container, Docker, Label, Network, Volume};
use crate::layout::{self, Layout};
use crate::spec::{
    Auth, Backend, CertificateSource, ClusterName, ControlPlanes, Data, Distribution, HostTrust,
    ImageRef, OwnedCluster, Registry, RegistryName, Serves, Spec, Target, Workers,
};

/// A kindreg object in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A container, by name.
    Container(String),
    /// A volume, by name.
    Volume(String),
    /// A network, by name.
    Network(String),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container(name) => write!(f, "container {name}"),
            Self::Volume(name) => write!(f, "volume {name}"),
            Self::Network(name) => write!(f, "network {name}"),
        }
    }
}

/// What was found of a cluster: its nodes, and all other objects that are ours.
struct Found {
    nodes: Vec<Container>,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
    networks: Vec<Network>,
}

async fn find(docker: &dyn Docker, cluster: &ClusterName) -> Result<Found> {
    let layout = Layout::of(cluster);
    let label = Label::Pair(layout::LABEL_CLUSTER, cluster.as_str());
    let (nodes, labelled, mut volumes, mut networks) = tokio::try_join!(
        our_kind_containers(docker, cluster),
        async { Ok(docker.containers(label).await?) },
        async { Ok(docker.volumes(label).await?) },
        async { Ok(docker.networks(label).await?) },
    )?;
    let mut containers = Vec::new();
    for container in labelled {
        if owns(docker, &layout, &container).await? {
            containers.push(container);
        }
    }
    volumes.retain(|volume| layout.owns(&volume.name, &volume.labels));
    networks.retain(|network| layout.owns(&network.name, &network.labels));
    Ok(Found {
        nodes,
        containers,
        volumes,
        networks,
    })
}

impl Found {
    fn objects(self) -> Vec<Object> {
        let containers = self.nodes.into_iter().chain(self.containers);
        let containers = containers.map(|container| Object::Container(container.name));
        let volumes = self.volumes.into_iter();
        let volumes = volumes.map(|volume| Object::Volume(volume.name));
        let networks = self.networks.into_iter();
        let networks = networks.map(|network| Object::Network(network.name));
        containers.chain(volumes).chain(networks).collect()
    }

    /// Returns whether a volume is one with data that stay, as far as that is known without a record.
    fn keeps(&self, layout: &Layout, volume: &Volume) -> bool {
        let name = volume.labels.get(layout::LABEL_REGISTRY);
        let Some(name) = name.and_then(|name| name.parse::<RegistryName>().ok()) else {
            return false;
        };
        volume.name == layout.data_volume(&name) && self.data(layout, &name) == Data::Keep
    }

    /// Returns whether `down` keeps a registry's data, without a record. The container has the last settings, the volume
    /// the first. A data volume alone was kept by an earlier `down`. Unknown means keep.
    fn data(&self, layout: &Layout, name: &RegistryName) -> Data {
        let container = layout.registry(name);
        let container = self.containers.iter().find(|one| one.name == container);
        let volume = |wanted: &str| self.volumes.iter().find(|volume| volume.name == wanted);
        let labels = match (
            container,
            volume(&layout.secret_volume(name)),
            volume(&layout.data_volume(name)),
        ) {
            (Some(container), _, _) => &container.labels,
            (None, Some(_), Some(data)) => &data.labels,
            (None, _, _) => return Data::Keep,
        };
        if Label::Pair(layout::LABEL_DATA, Data::Discard.label()).is_in(labels) {
            Data::Discard
        } else {
            Data::Keep
        }
    }
}

/// Returns the cluster's nodes and all objects with its label, as far as they are ours.
#[cfg(feature = "fakes")]
pub async fn left(docker: &dyn Docker, cluster: &ClusterName) -> Result<Vec<Object>> {
    Ok(find(docker, cluster).await?.objects())
}

/// Returns every cluster that an object of ours names. kind's nodes have no label of ours: their network names it.
pub async fn clusters(docker: &dyn Docker) -> Result<BTreeSet<ClusterName>> {
    let ours = Label::Key(layout::LABEL_CLUSTER);
    let (containers, volumes, networks, nodes) = tokio::try_join!(
        docker.containers(ours),
        docker.volumes(ours),
        docker.networks(ours),
        docker.containers(Label::Key(layout::KIND_LABEL_CLUSTER)),
    )?;
    let containers = containers.into_iter().map(|one| (one.name, one.labels));
    let volumes = volumes.into_iter().map(|one| (one.name, one.labels));
    let networks = networks.into_iter().map(|one| (one.name, one.labels));
    let labelled = containers.chain(volumes).chain(networks);
    let named = labelled.filter_map(|(name, labels)| {
        let cluster: ClusterName = labels.get(layout::LABEL_CLUSTER)?.parse().ok()?;
        Layout::of(&cluster).owns(&name, &labels).then_some(cluster)
    });
    let nodes = nodes.iter().filter_map(|node| {
        let cluster: ClusterName = node.labels.get(layout::KIND_LABEL_CLUSTER)?.parse().ok()?;
        (node.network_mode == Layout::of(&cluster).network()).then_some(cluster)
    });
    Ok(named.chain(nodes).collect())
}

/// The objects of a cluster, by what `down` does with them. The lock, which this or another run holds, is in neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// What `down` removes.
    pub removed: Vec<Object>,
    /// The data volumes that stay.
    pub kept: Vec<Object>,
}

/// Returns the objects of a cluster, by what `down` does with them. The Spec decides about the data of its registries;
/// those of other registries were kept by an earlier `down`, unless they say otherwise.
pub async fn removal(docker: &dyn Docker, spec: &Spec) -> Result<Removal> {
    let layout = Layout::of(&spec.cluster);
    let lock = Object::Container(layout.lock());
    let found = find(docker, &spec.cluster).await?;
    let kept = found.volumes.iter().filter(|volume| {
        let mut registries = spec.registries.iter();
        match registries.find(|registry| layout.data_volume(&registry.name) == volume.name) {
            Some(registry) => registry.backend.data() == Data::Keep,
            None => found.keeps(&layout, volume),
        }
    });
    let kept: Vec<Object> = kept
        .map(|volume| Object::Volume(volume.name.clone()))
        .collect();
    let mut all = found.objects();
    all.retain(|object| *object != lock);
    let (kept, removed) = all.into_iter().partition(|found| kept.contains(found));
    Ok(Removal { removed, kept })
}

/// A Spec that is good enough for `down`, from the objects of a cluster without a readable record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// There are containers, which name an image for one-shot containers.
    Containers(Spec),
    /// There are no containers, and so no known image for one-shot containers.
    Fragments(Spec),
}

/// Returns a Spec that is good enough for `down`, from the objects of a cluster whose record is missing or can't be
/// read; `None` if there are no such objects.
pub async fn recovered(docker: &dyn Docker, cluster: &ClusterName) -> Result<Option<Recovered>> {
    let layout = Layout::of(cluster);
    let found = find(docker, cluster).await?;
    let of_registry = |one: &&Container| one.labels.contains_key(layout::LABEL_REGISTRY);
    let record = found
        .containers
        .iter()
        .find(|one| one.name == layout.record());
    let registry = found.containers.iter().find(of_registry);
    // The image of a load balancer may have no shell.
    let nodes = found.nodes.iter().filter(|node| !is_load_balancer(node));
    let containers = nodes.chain(record).chain(registry);
    let mut images = containers.chain(&found.containers).map(|one| &one.image);
    let known = images.find_map(|image| image.parse().ok());
    let has_image = known.is_some();
    let image = known.unwrap_or_else(ImageRef::node);
    let mut registries: Vec<Registry> = Vec::new();
    let volumes = found.volumes.iter().map(|volume| &volume.labels);
    for labels in volumes.chain(found.containers.iter().map(|one| &one.labels)) {
        let name = labels.get(layout::LABEL_REGISTRY);
        let Some(name) = name.and_then(|name| name.parse::<RegistryName>().ok()) else {
            continue;
        };
        if registries.iter().any(|registry| registry.name == name) {
            continue;
        }
        registries.push(Registry {
            name: name.clone(),
            host: "registry.test".parse()?,
            port: "5001".parse()?,
            names: Vec::new(),
            backend: Backend::Distribution(Distribution {
                image: "registry:3".parse()?,
                data: found.data(&layout, &name),
                certificate: CertificateSource::Generated,
                serves: Serves::Pushed {
                    auth: Auth::Password,
                },
            }),
        });
    }
    if found.objects().is_empty() {
        return Ok(None);
    }
    let spec = Spec {
        cluster: cluster.clone(),
        target: Target::Owned(OwnedCluster {
            control_planes: ControlPlanes::default(),
            workers: Workers::default(),
            kind_config: None,
            node_image: image,
        }),
        registries,
        host_trust: HostTrust::Leave,
    };
    Ok(Some(if has_image {
        Recovered::Containers(spec)
    } else {
        Recovered::Fragments(spec)
    }))
}
