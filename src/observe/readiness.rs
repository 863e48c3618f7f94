//! Reads what kubelets say about their nodes in the Kubernetes API.

use std::collections::BTreeMap;

use anyhow::Result;
use futures_util::future::try_join_all;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::nodes;
use crate::docker::Docker;
use crate::kube::{Kube, KubeError};
use crate::spec::ClusterName;

/// What a node's kubelet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// The node is Ready.
    Ready,
    /// kubelet runs, and the node is not Ready.
    Registered,
    /// kubelet does not report.
    Unknown,
}

/// Returns the nodes that the API knows, by name; `None` if it does not answer.
///
/// For 40 s the API shows the last report of a kubelet that no longer runs, so a report from before a node was started
/// does not count. The engine's host and its nodes have one clock:
/// <https://kubernetes.io/docs/reference/node/node-status/#condition>.
///
/// # Errors
/// The API refuses the question, the engine does not answer, or the cluster is not ours.
pub async fn readiness(
    docker: &dyn Docker,
    kube: &dyn Kube,
    cluster: &ClusterName,
) -> Result<Option<BTreeMap<String, Readiness>>> {
    let (list, started) = tokio::join!(kube.get("/api/v1/nodes"), started(docker, cluster));
    let (list, started) = match (list, started?) {
        (Ok(list), started) => (list.unwrap_or_default(), started),
        (Err(KubeError::Unreachable(_)), _) => return Ok(None),
        (Err(error), _) => return Err(error.into()),
    };
    let nodes = list["items"].as_array().into_iter().flatten();
    let named = nodes.filter_map(|node| {
        let name = node["metadata"]["name"].as_str()?;
        Some((name.to_owned(), of(node, started.get(name))))
    });
    Ok(Some(named.collect()))
}

/// Returns when each node was last started.
async fn started(
    docker: &dyn Docker,
    cluster: &ClusterName,
) -> Result<BTreeMap<String, OffsetDateTime>> {
    let inspected = nodes(docker, cluster)
        .await?
        .into_iter()
        .map(|node| async move { docker.container(&node.name).await });
    let found = try_join_all(inspected).await?.into_iter().flatten();
    Ok(found
        .filter_map(|node| Some((node.name, node.started?)))
        .collect())
}

fn of(node: &Value, started: Option<&OffsetDateTime>) -> Readiness {
    let conditions = node["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let ready = conditions.find(|condition| condition["type"] == "Ready");
    let reported = ready.and_then(|ready| ready["lastHeartbeatTime"].as_str());
    let reported = reported.and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
    if let (Some(reported), Some(started)) = (reported, started)
        // Kubernetes writes whole seconds.
        && reported.unix_timestamp() < started.unix_timestamp()
    {
        return Readiness::Unknown;
    }
    match ready.and_then(|ready| ready["status"].as_str()) {
        Some("True") => Readiness::Ready,
        Some("False") => Readiness::Registered,
        Some(_) | None => Readiness::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_from_before_the_start_of_a_node_does_not_count() {
        let node = |at: &str| {
            let ready = json!({"type": "Ready", "status": "True", "lastHeartbeatTime": at});
            json!({"status": {"conditions": [ready]}})
        };
        let started = OffsetDateTime::from_unix_timestamp_nanos(1_796_079_305_700_000_000).unwrap();
        for (reported, expected) in [
            ("2026-11-30T22:55:04Z", Readiness::Unknown),
            ("2026-11-30T22:55:05Z", Readiness::Ready),
            ("2026-11-30T22:55:09Z", Readiness::Ready),
        ] {
            assert_eq!(of(&node(reported), Some(&started)), expected, "{reported}");
            assert_eq!(of(&node(reported), None), Readiness::Ready);
        }
        let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        assert_eq!(of(&ready, Some(&started)), Readiness::Ready);
    }
}
