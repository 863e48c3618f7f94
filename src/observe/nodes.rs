//! Reads of a cluster's nodes and of containerd's files in them.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;

use super::files::{download, unfit};
use super::{ClusterOwner, below};
use crate::archive::{self, Kind};
use crate::docker::{Container, ContainerState, Docker, Label};
use crate::layout;
use crate::spec::{ClusterName, Spec};

/// Returns all containers with kind's label for the cluster, whosever they are.
pub async fn kind_containers(docker: &dyn Docker, cluster: &ClusterName) -> Result<Vec<Container>> {
    let label = Label::Pair(layout::KIND_LABEL_CLUSTER, cluster.as_str());
    Ok(docker.containers(label).await?)
}

/// Returns whether a container has kind's label for the cluster.
#[must_use]
pub fn is_kind_container(container: &Container, cluster: &ClusterName) -> bool {
    Label::Pair(layout::KIND_LABEL_CLUSTER, cluster.as_str()).is_in(&container.labels)
}

/// Returns all containers with kind's label for the cluster; none unless all are ours.
pub async fn our_kind_containers(
    docker: &dyn Docker,
    cluster: &ClusterName,
) -> Result<Vec<Container>> {
    let found = kind_containers(docker, cluster).await?;
    Ok(match ClusterOwner::of(cluster, &found) {
        ClusterOwner::Ours => found,
        ClusterOwner::Foreign | ClusterOwner::Mixed(_) => Vec::new(),
    })
}

/// Returns whether a container with kind's label is the load balancer of several control planes, and not a node.
#[must_use]
pub fn is_load_balancer(container: &Container) -> bool {
    Label::Pair(layout::KIND_LABEL_ROLE, layout::ROLE_LOAD_BALANCER).is_in(&container.labels)
}

/// Returns the containers that kind created for the cluster, sorted by name: its nodes, and the load balancer of several
/// control planes. Empty if there is no cluster.
///
/// # Errors
/// The cluster is not ours, or the engine does not answer.
pub async fn nodes_and_balancer(
    docker: &dyn Docker,
    cluster: &ClusterName,
) -> Result<Vec<Container>> {
    let mut found = kind_containers(docker, cluster).await?;
    ClusterOwner::of(cluster, &found).refused(cluster)?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Returns the containers of the cluster's nodes, sorted by name; empty if there is no cluster.
///
/// # Errors
/// The cluster is not ours, or the engine does not answer.
pub async fn nodes(docker: &dyn Docker, cluster: &ClusterName) -> Result<Vec<Container>> {
    let mut found = nodes_and_balancer(docker, cluster).await?;
    found.retain(|node| !is_load_balancer(node));
    Ok(found)
}

/// Returns the nodes that are running. Undo skips the others: they pull nothing, and are removed with the cluster.
pub async fn running_nodes(docker: &dyn Docker, cluster: &ClusterName) -> Result<Vec<Container>> {
    let mut found = nodes(docker, cluster).await?;
    found.retain(|node| node.state == ContainerState::Running);
    Ok(found)
}

/// Returns the names of the nodes of the Spec, followed by those of nodes that were joined to the cluster later.
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

/// Everything in containerd's folder of a node, by path relative to `/etc/containerd`.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, Bytes>,
    entries: BTreeMap<String, Kind>,
}

impl Tree {
    /// Returns all entries, links and devices included.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Kind)> {
        self.entries
            .iter()
            .map(|(path, kind)| (path.as_str(), *kind))
    }

    /// Returns the content of a regular file.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&Bytes> {
        self.files.get(path)
    }

    /// Returns the content of a regular file of certs.d.
    #[must_use]
    pub fn certs_file(&self, path: &str) -> Option<&Bytes> {
        self.file(&format!("certs.d/{path}"))
    }

    /// Returns what an entry of certs.d is; `None` if there is none.
    #[must_use]
    pub fn certs_kind(&self, path: &str) -> Option<Kind> {
        self.entries.get(&format!("certs.d/{path}")).copied()
    }

    /// Returns whether a folder of certs.d has a file of ours, or is empty: containerd uses an empty folder too. A CA
    /// beside somebody else's hosts.toml is theirs.
    #[must_use]
    pub fn has_ours(&self, folder: &str) -> bool {
        if self.certs_kind(folder) != Some(Kind::Folder) {
            return false;
        }
        let hosts = format!("{folder}/hosts.toml");
        let is_theirs = self.certs_kind(&hosts).is_some()
            && !self
                .certs_file(&hosts)
                .is_some_and(|text| text.starts_with(crate::render::WRITTEN_BY_KINDREG.as_bytes()));
        let mut below = self.certs_below(folder).peekable();
        let is_ours = |path: &str| {
            let name = path.strip_prefix(folder).unwrap_or_default();
            ["/hosts.toml", "/ca.crt", "/upstream.crt"].contains(&name)
        };
        below.peek().is_none() || (!is_theirs && below.any(is_ours))
    }

    /// Returns the paths below a folder of certs.d, relative to certs.d.
    pub fn certs_below(&self, folder: &str) -> impl Iterator<Item = &str> {
        let folder = format!("certs.d/{folder}/");
        let paths = self.entries.keys();
        paths.filter_map(move |path| {
            path.starts_with(&folder)
                .then(|| path.strip_prefix("certs.d/"))
                .flatten()
        })
    }
}

/// Reads containerd's folder of a node.
pub async fn containerd_tree(docker: &dyn Docker, node: &str) -> Result<Tree> {
    let path = layout::NODE_CONTAINERD;
    let Some(tar) = download(docker, node, path).await? else {
        return Ok(Tree::default());
    };
    tree(&tar).map_err(|error| unfit(node, path, &error))
}

fn tree(tar: &[u8]) -> Result<Tree> {
    let entries = archive::entries(tar)?.into_iter();
    let entries = entries
        .filter_map(|(path, kind)| Some((path.strip_prefix("containerd/")?.to_owned(), kind)));
    Ok(Tree {
        files: below(tar, "containerd")?,
        entries: entries.collect(),
    })
}
