//! All clusters of an engine, for `list`. Reads only.

use anyhow::Result;

use super::Entry;
use crate::docker::{ContainerState, Docker};
use crate::layout;
use crate::spec::{ClusterName, Registry};
use crate::steps;

/// Names of all clusters of kindreg's in an engine, whatever is left of them.
pub async fn clusters(docker: &dyn Docker) -> Result<Vec<ClusterName>> {
    let mut names: Vec<ClusterName> = docker
        .containers(layout::LABEL_MODE, "owned")
        .await?
        .iter()
        .filter_map(|record| record.labels.get(layout::LABEL_CLUSTER)?.parse().ok())
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// All clusters of kindreg's in an engine.
pub async fn list(docker: &dyn Docker) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for cluster in clusters(docker).await? {
        entries.extend(entry(docker, &cluster).await?);
    }
    Ok(entries)
}

/// One cluster; `None` where it has gone meanwhile.
async fn entry(docker: &dyn Docker, cluster: &ClusterName) -> Result<Option<Entry>> {
    let spec = match steps::asked(docker, cluster).await {
        Ok(Some(asked)) => asked.current,
        Ok(None) => return Ok(None),
        // One of another version must not hide the others.
        Err(error) => {
            return Ok(Some(Entry {
                cluster: cluster.to_string(),
                registries: Vec::new(),
                nodes: 0,
                running: 0,
                problem: Some(format!("{error:#}")),
            }));
        }
    };
    let found = steps::nodes(docker, &spec).await?;
    let running = found
        .iter()
        .filter(|node| node.state == ContainerState::Running);
    Ok(Some(Entry {
        cluster: cluster.to_string(),
        registries: spec.registries.iter().map(Registry::domain).collect(),
        nodes: steps::node_names(&spec, &found).len(),
        running: running.count(),
        problem: None,
    }))
}
