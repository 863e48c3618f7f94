//! All objects with a cluster's label. `down` needs them if there is no record, and to find leftovers.

use std::fmt;

use anyhow::Result;

use crate::docker::{Container, Docker};
use crate::layout::{self, Layout};
use crate::spec::{
    Auth, Backend, CertificateSource, ClusterName, ControlPlanes, Data, Distribution, HostTrust,
    OwnedCluster, Registry, Serves, Spec, Target, Workers,
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

async fn nodes(docker: &dyn Docker, cluster: &ClusterName) -> Result<Vec<Container>> {
    let network = Layout::of(cluster).network();
    let mut nodes = docker
        .containers(layout::KIND_LABEL_CLUSTER, cluster.as_str())
        .await?;
    nodes.retain(|node| node.networks.contains_key(&network));
    Ok(nodes)
}

/// Returns a Spec that is good enough for `down`, from the objects of a cluster whose record is missing or can't be
/// read; `None` if there are no such objects.
pub async fn recovered(docker: &dyn Docker, cluster: &ClusterName) -> Result<Option<Spec>> {
    if left(docker, cluster).await?.is_empty() {
        return Ok(None);
    }
    let nodes = nodes(docker, cluster).await?;
    let image = nodes
        .first()
        .map_or("kindest/node", |node| &node.image)
        .parse()?;
    let workers = u16::try_from(nodes.len().saturating_sub(1))?;
    let mut registries = Vec::new();
    for volume in docker
        .volumes(layout::LABEL_CLUSTER, cluster.as_str())
        .await?
    {
        let Some(name) = volume.labels.get(layout::LABEL_REGISTRY) else {
            continue;
        };
        let registry = Registry {
            name: name.parse()?,
            host: "registry.test".parse()?,
            port: "5001".parse()?,
            names: Vec::new(),
            backend: Backend::Distribution(Distribution {
                image: "registry:3".parse()?,
                data: Data::Discard,
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
    Ok(Some(Spec {
        cluster: cluster.clone(),
        target: Target::Owned(OwnedCluster {
            control_planes: ControlPlanes::default(),
            workers: Workers::new(workers)?,
            kind_config: None,
            node_image: image,
        }),
        registries,
        host_trust: HostTrust::Leave,
    }))
}
