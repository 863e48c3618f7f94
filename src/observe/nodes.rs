//! The nodes of a cluster, and containerd's files in them.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;

use super::below;
use crate::docker::{Container, ContainerState, Docker};
use crate::layout;
use crate::spec::{ClusterName, Spec};

/// Returns the nodes of the cluster by name; none while there is no cluster.
pub async fn nodes(docker: &dyn Docker, cluster: &ClusterName) -> Result<Vec<Container>> {
    let mut found = docker
        .containers(layout::KIND_LABEL_CLUSTER, cluster.as_str())
        .await?;
    found.retain(|node| {
        // The load balancer of several control planes is no node.
        node.labels
            .get(layout::KIND_LABEL_ROLE)
            .is_none_or(|role| role != "external-load-balancer")
    });
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Returns the nodes that run: another one pulls nothing, and is removed with the cluster.
pub async fn running_nodes(docker: &dyn Docker, cluster: &ClusterName) -> Result<Vec<Container>> {
    let mut found = nodes(docker, cluster).await?;
    found.retain(|node| node.state == ContainerState::Running);
    Ok(found)
}

/// Returns the names of the nodes that are wanted, and then of those that somebody joined.
#[must_use]
pub fn node_names(spec: &Spec, found: &[Container]) -> Vec<String> {
    let mut names = layout::nodes(spec);
    for node in found {
        if !names.contains(&node.name) {
            names.push(node.name.clone());
        }
    }
    names
}

/// Returns containerd's files in a node, its configuration and its registries, by their path below its folder.
pub async fn containerd_files(docker: &dyn Docker, node: &str) -> Result<BTreeMap<String, Bytes>> {
    match docker.download(node, layout::NODE_CONTAINERD).await? {
        Some(tar) => below(&tar, "containerd"),
        None => Ok(BTreeMap::new()),
    }
}
