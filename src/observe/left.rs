//! All objects with a cluster's label. `down` needs them if there is no record, and to find leftovers.

use std::fmt;

use anyhow::Result;

use crate::docker::{Container, Docker};
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

/// Returns the cluster's nodes and all objects with its label.
pub async fn left(docker: &dyn Docker, cluster: &ClusterName) -> Result<Vec<Object>> {
    let (key, name) = (layout::LABEL_CLUSTER, cluster.as_str());
    let (containers, volumes, networks) = tokio::try_join!(
        docker.containers(key, name),
        docker.volumes(key, name),
        docker.networks(key, name)
    )?;
    let nodes = nodes(docker, cluster).await?;
    let containers = nodes
        .into_iter()
        .chain(containers)
        .map(|container| Object::Container(container.name));
    let volumes = volumes
        .into_iter()
        .map(|volume| Object::Volume(volume.name));
    let networks = networks
        .into_iter()
        .map(|network| Object::Network(network.name));
    Ok(containers.chain(volumes).chain(networks).collect())
}

/// The objects of a cluster, by what `down` does with them. The lock, which this or another run holds, is in neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// What `down` removes.
    pub removed: Vec<Object>,
    /// The data volumes that stay.
    pub kept: Vec<Object>,
}

/// Returns the objects of a cluster, by what `down` does with them.
pub async fn removal(docker: &dyn Docker, spec: &Spec) -> Result<Removal> {
    let layout = Layout::of(&spec.cluster);
    let lock = Object::Container(layout.lock());
    let kept = spec.registries.iter().filter_map(|registry| {
        let volume = layout.data_volume(&registry.name);
        (registry.backend.data() == Data::Keep).then_some(Object::Volume(volume))
    });
    let kept: Vec<Object> = kept.collect();
    let mut found = left(docker, &spec.cluster).await?;
    found.retain(|object| *object != lock);
    let (kept, removed) = found.into_iter().partition(|found| kept.contains(found));
    Ok(Removal { removed, kept })
}

async fn nodes(docker: &dyn Docker, cluster: &ClusterName) -> Result<Vec<Container>> {
    let network = Layout::of(cluster).network();
    let mut nodes = docker
        .containers(layout::KIND_LABEL_CLUSTER, cluster.as_str())
        .await?;
    nodes.retain(|node| node.networks.contains_key(&network));
    Ok(nodes)
}

/// Returns whether `down` keeps a registry's data. Without a label it does.
async fn data(docker: &dyn Docker, cluster: &ClusterName, name: &RegistryName) -> Result<Data> {
    let container = docker
        .container(&Layout::of(cluster).registry(name))
        .await?;
    let labels = container.map(|container| container.labels);
    let label = labels.and_then(|mut labels| labels.remove(layout::LABEL_DATA));
    Ok(match label.as_deref() {
        Some("discard") => Data::Discard,
        Some(_) | None => Data::Keep,
    })
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
    if left(docker, cluster).await?.is_empty() {
        return Ok(None);
    }
    let nodes = nodes(docker, cluster).await?;
    let record = docker.container(&Layout::of(cluster).record()).await?;
    let record = record.filter(|record| Layout::of(cluster).owns(&record.labels));
    let image = nodes.first().or(record.as_ref()).map(|one| &one.image);
    let known = image.map(|image| image.parse()).transpose()?;
    let has_image = known.is_some();
    let image = known.unwrap_or_else(ImageRef::node);
    let workers = u16::try_from(nodes.len().saturating_sub(1))?;
    let mut registries = Vec::new();
    for volume in docker
        .volumes(layout::LABEL_CLUSTER, cluster.as_str())
        .await?
    {
        let Some(name) = volume.labels.get(layout::LABEL_REGISTRY) else {
            continue;
        };
        let name: RegistryName = name.parse()?;
        let registry = Registry {
            name: name.clone(),
            host: "registry.test".parse()?,
            port: "5001".parse()?,
            names: Vec::new(),
            backend: Backend::Distribution(Distribution {
                image: "registry:3".parse()?,
                data: data(docker, cluster, &name).await?,
                certificate: CertificateSource::Generated,
                serves: Serves::Pushed {
                    auth: Auth::Password,
                },
            }),
        };
        if !registries.contains(&registry) {
            registries.push(registry);
        }
    }
    let spec = Spec {
        cluster: cluster.clone(),
        target: Target::Owned(OwnedCluster {
            control_planes: ControlPlanes::default(),
            workers: Workers::new(workers)?,
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
