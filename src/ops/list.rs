//! `list`: the kindreg clusters of an engine. Reads only.

use anyhow::Result;

use super::{Client, removals};
use crate::docker::{ContainerState, Docker};
use crate::observe::{self, is_load_balancer, node_names, our_kind_containers, recorded};
use crate::report::Entry;
use crate::spec::{ClusterName, Registry};
use crate::step::is_stop;

/// Returns the names of all kindreg clusters of the engine, whatever is left of them. Data that an earlier `down` kept
/// are no cluster.
///
/// # Errors
/// The engine does not answer.
pub async fn clusters(client: &Client) -> Result<Vec<ClusterName>> {
    let mut clusters = Vec::new();
    let client = &client.reading();
    for cluster in observe::clusters(client.docker()).await? {
        // One that this version can't read, or can't remove, is there too.
        let is_there = match removals(client, &cluster).await {
            Ok(found) => !found.removes.is_empty(),
            Err(error) if is_stop(&error) => return Err(error),
            Err(_) => true,
        };
        if is_there {
            clusters.push(cluster);
        }
    }
    Ok(clusters)
}

/// Returns all kindreg clusters of the engine.
///
/// # Errors
/// The engine does not answer.
pub async fn list(client: &Client) -> Result<Vec<Entry>> {
    let client = &client.reading();
    let mut entries = Vec::new();
    for cluster in clusters(client).await? {
        entries.push(entry(client.docker(), &cluster).await?);
    }
    Ok(entries)
}

async fn entry(docker: &dyn Docker, cluster: &ClusterName) -> Result<Entry> {
    let mut found = our_kind_containers(docker, cluster).await?;
    found.retain(|node| !is_load_balancer(node));
    let running = found
        .iter()
        .filter(|node| node.state == ContainerState::Running);
    let running = running.count();
    // An unreadable record must not hide the other clusters.
    let (spec, problem) = match recorded(docker, cluster).await {
        Ok(Some(recorded)) => (Some(recorded.current), None),
        Ok(None) => (None, Some("its record is missing".to_owned())),
        Err(error) if is_stop(&error) => return Err(error),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let registries = spec.iter().flat_map(|spec| &spec.registries);
    Ok(Entry {
        cluster: cluster.to_string(),
        registries: registries.map(Registry::domain).collect(),
        nodes: spec
            .as_ref()
            .map_or(found.len(), |spec| node_names(spec, &found).len()),
        running,
        problem,
    })
}
