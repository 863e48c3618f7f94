//! Decides what is ours. No other file does.
//!
//! A container, volume or network is ours if it has a derived name and our label. A container's label must not come from
//! its image. A kind cluster is ours if all its nodes are on our network, because kind can't label nodes.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::docker::{Container, Docker};
use crate::layout::{LABEL_PREFIX, Layout};
use crate::problem::Problem;
use crate::spec::ClusterName;

/// Returns the error for an object that has our name without our label. `remove` is the command that removes it.
#[must_use]
pub fn foreign(kind: &str, name: &str, remove: &str) -> anyhow::Error {
    Problem::foreign(
        format!("{kind} {name} exists and was not created by kindreg"),
        format!("choose another cluster with --name, or run: {remove}"),
    )
    .into()
}

/// Returns our container of that name; `None` if there is no container.
///
/// # Errors
/// The container is not ours, or the engine does not answer.
pub async fn our_container(
    docker: &dyn Docker,
    layout: &Layout,
    name: &str,
) -> Result<Option<Container>> {
    match docker.container(name).await? {
        Some(container) if !owns(docker, layout, &container).await? => {
            Err(foreign("container", name, &format!("docker rm -f {name}")))
        }
        found => Ok(found),
    }
}

/// Returns whether a container is ours.
pub async fn owns(docker: &dyn Docker, layout: &Layout, container: &Container) -> Result<bool> {
    if !layout.owns(&container.name, &container.labels) {
        return Ok(false);
    }
    Ok(!inherits(docker, container).await?)
}

/// Returns whether all our labels on a container come from its image. `docker commit` of our registry makes such an
/// image, and the containers that somebody starts from it are theirs. A container that we create has a label that its
/// image has not.
async fn inherits(docker: &dyn Docker, container: &Container) -> Result<bool> {
    let Some(image) = docker.image_labels(&container.image_id).await? else {
        // Somebody removed the image from below the container, by force.
        return Ok(false);
    };
    let ours = |labels: &BTreeMap<String, String>| -> Vec<(String, String)> {
        let ours = labels
            .iter()
            .filter(|(key, _)| key.starts_with(LABEL_PREFIX));
        ours.map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    Ok(ours(&container.labels) == ours(&image))
}

/// Whose the containers with kind's label for a cluster are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterOwner {
    /// All are ours, or there are none.
    Ours,
    /// None is ours: somebody created a kind cluster of that name.
    Foreign,
    /// Some are ours. These are not.
    Mixed(Vec<String>),
}

impl ClusterOwner {
    /// Decides whose these containers are. A node that was disconnected, and one that Docker 20.10 shows on no network
    /// yet, is ours by the network that it was created for.
    #[must_use]
    pub fn of(cluster: &ClusterName, found: &[Container]) -> Self {
        let network = Layout::of(cluster).network();
        let ours = |node: &&Container| {
            node.network_mode == network || node.networks.contains_key(&network)
        };
        let theirs = found.iter().filter(|node| !ours(node));
        let theirs: Vec<String> = theirs.map(|node| node.name.clone()).collect();
        if theirs.is_empty() {
            Self::Ours
        } else if theirs.len() == found.len() {
            Self::Foreign
        } else {
            Self::Mixed(theirs)
        }
    }

    /// Returns an error unless all are ours.
    ///
    /// # Errors
    /// Some are not.
    pub fn refused(self, cluster: &ClusterName) -> Result<()> {
        let problem = match self {
            Self::Ours => return Ok(()),
            Self::Foreign => Problem::foreign(
                format!("kind cluster {cluster} exists and was not created by kindreg"),
                format!(
                    "choose another name with --name, or run: kind delete cluster --name {cluster}"
                ),
            ),
            Self::Mixed(theirs) => mixed(cluster, &theirs),
        };
        Err(problem.into())
    }
}

/// Returns the problem that these nodes of our kind cluster are not ours.
#[must_use]
pub fn mixed(cluster: &ClusterName, theirs: &[String]) -> Problem {
    let network = Layout::of(cluster).network();
    Problem::foreign(
        format!(
            "kind cluster {cluster} has nodes that are not on network {network}: {}",
            theirs.join(", ")
        ),
        format!(
            "add them with: docker network connect {network} {0}; or run: docker rm -f {0}",
            theirs.first().map_or("", String::as_str)
        ),
    )
}

/// Fails if the kind cluster of that name is not ours. Every operation asks this before it reads or writes in a node or
/// in the Kubernetes API.
///
/// # Errors
/// The cluster or its network is not ours, or the engine does not answer.
pub async fn refuse_foreign_cluster(docker: &dyn Docker, cluster: &ClusterName) -> Result<()> {
    let found = super::nodes(docker, cluster).await?;
    if found.is_empty() {
        return Ok(());
    }
    let layout = Layout::of(cluster);
    let network = docker.network(&layout.network()).await?;
    if network.is_some_and(|network| !layout.owns(&network.name, &network.labels)) {
        return ClusterOwner::Foreign.refused(cluster);
    }
    Ok(())
}
