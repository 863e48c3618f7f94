//! Everything that carries a cluster's label, whatever made it: for `down` after a record was lost, and to leave
//! nothing behind.

use std::fmt;

use anyhow::Result;

use crate::docker::{Container, Docker};
use crate::layout::{self, Layout};
use crate::spec::{
    Auth, Backend, ClusterName, ControlPlanes, Data, HostTrust, Registry, Spec, Workers,
};

/// A thing of the engine that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// A container.
    Container(String),
    /// A volume.
    Volume(String),
    /// A network.
    Network(String),
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container(name) => write!(f, "container {name}"),
            Self::Volume(name) => write!(f, "volume {name}"),
            Self::Network(name) => write!(f, "network {name}"),
        }
    }
}

/// All that carries the cluster's label, and its nodes.
pub async fn list(docker: &dyn Docker, cluster: &ClusterName) -> Result<Vec<Thing>> {
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
        .map(|container| Thing::Container(container.name));
    let volumes = volumes.into_iter().map(|volume| Thing::Volume(volume.name));
    let networks = networks
        .into_iter()
        .map(|network| Thing::Network(network.name));
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

/// Removes what is left with the cluster's label: one-shot containers of killed runs, and what no plan names.
pub async fn rest(docker: &dyn Docker, spec: &Spec) -> Result<()> {
    let layout = Layout::of(&spec.cluster);
    let lock = layout.lock();
    let kept = spec
        .registries
        .iter()
        .filter(|registry| registry.data == Data::Keep);
    let kept: Vec<String> = kept
        .map(|registry| layout.data_volume(&registry.name))
        .collect();
    for thing in list(docker, &spec.cluster).await? {
        match thing {
            Thing::Volume(name) if kept.contains(&name) => {}
            // Another run's, which is waiting for us or has just begun.
            Thing::Container(name) if name == lock => {}
            Thing::Container(name) => docker.remove(&name).await?,
            Thing::Volume(name) => docker.remove_volume(&name).await?,
            Thing::Network(name) => docker.remove_network(&name).await?,
        }
    }
    Ok(())
}

/// The Spec of a cluster without a record, as far as its things tell; `None` where nothing is ours.
pub async fn guess(docker: &dyn Docker, cluster: &ClusterName) -> Result<Option<Spec>> {
    if list(docker, cluster).await?.is_empty() {
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
            backend: Backend::default(),
            image: "registry:3".parse()?,
            names: Vec::new(),
            data: Data::Discard,
            mirror_of: None,
            upstream_ca: None,
            upstream_variables: None,
            auth: Auth::default(),
        };
        if !registries.contains(&registry) {
            registries.push(registry);
        }
    }
    Ok(Some(Spec {
        cluster: cluster.clone(),
        control_planes: ControlPlanes::default(),
        workers: Workers::new(workers)?,
        kind_config: None,
        node_image: image,
        registries,
        host_trust: HostTrust::Leave,
    }))
}
