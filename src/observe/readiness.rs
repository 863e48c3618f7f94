//! Reads what kubelets say about their nodes in the Kubernetes API.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::kube::{Kube, KubeError};

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
/// does not count. `started` has the nodes of which that is known, with the time by their own clock:
/// <https://kubernetes.io/docs/reference/node/node-status/#condition>.
///
/// # Errors
/// The API refuses the question.
pub async fn readiness(
    kube: &dyn Kube,
    started: &BTreeMap<String, OffsetDateTime>,
) -> Result<Option<BTreeMap<String, Readiness>>> {
    let list = match kube.get("/api/v1/nodes").await {
        Ok(list) => list.unwrap_or_default(),
        Err(KubeError::Unreachable(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let nodes = list["items"].as_array().into_iter().flatten();
    let named = nodes.filter_map(|node| {
        let name = node["metadata"]["name"].as_str()?;
        Some((name.to_owned(), of(node, started.get(name))))
    });
    Ok(Some(named.collect()))
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
