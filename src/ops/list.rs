//! `list`: the kindreg clusters of an engine. Reads only.

use anyhow::Result;

use super::Client;
use crate::docker::{ContainerState, Docker};
use crate::layout;
use crate::observe::{node_names, nodes, recorded};
use crate::report::Entry;
use crate::spec::{ClusterName, Registry};

/// Returns the names of all kindreg clusters of the engine, whatever is left of them.
///
/// # Errors
/// The engine does not answer.
pub async fn clusters(client: &Client) -> Result<Vec<ClusterName>> {
    let mut names: Vec<ClusterName> = client
        .docker()
        .containers(layout::LABEL_MODE, "owned")
        .await?
        .iter()
        .filter_map(|record| record.labels.get(layout::LABEL_CLUSTER)?.parse().ok())
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Returns all kindreg clusters of the engine.
///
/// # Errors
/// The engine does not answer.
pub async fn list(client: &Client) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for cluster in clusters(client).await? {
        entries.extend(entry(client.docker(), &cluster).await?);
    }
    Ok(entries)
}

/// Returns one cluster; `None` if it was removed meanwhile.
async fn entry(docker: &dyn Docker, cluster: &ClusterName) -> Result<Option<Entry>> {
    let spec = match recorded(docker, cluster).await {
        Ok(Some(recorded)) => recorded.current,
        Ok(None) => return Ok(None),
        // An unreadable record must not hide the other clusters.
        Err(error) => {
            return Ok(Some(Entry {
                cluster: cluster.to_string(),
                registries: Vec::new(),
                nodes: 0,
                running: 0,
                problem: Some(error.to_string()),
            }));
        }
    };
    let found = nodes(docker, cluster).await?;
    let running = found
        .iter()
        .filter(|node| node.state == ContainerState::Running);
    Ok(Some(Entry {
        cluster: cluster.to_string(),
        registries: spec.registries.iter().map(Registry::domain).collect(),
        nodes: node_names(&spec, &found).len(),
        running: running.count(),
        problem: None,
    }))
}
