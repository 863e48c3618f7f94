//! Reads what kubelets say about their nodes in the Kubernetes API.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

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
/// # Errors
/// The API refuses the question.
pub async fn readiness(kube: &dyn Kube) -> Result<Option<BTreeMap<String, Readiness>>> {
    let list = match kube.get("/api/v1/nodes").await {
        Ok(list) => list.unwrap_or_default(),
        Err(KubeError::Unreachable(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let nodes = list["items"].as_array().into_iter().flatten();
    let named =
        nodes.filter_map(|node| Some((node["metadata"]["name"].as_str()?.to_owned(), of(node))));
    Ok(Some(named.collect()))
}

fn of(node: &Value) -> Readiness {
    let conditions = node["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let ready = conditions.find(|condition| condition["type"] == "Ready");
    match ready.and_then(|ready| ready["status"].as_str()) {
        Some("True") => Readiness::Ready,
        Some("False") => Readiness::Registered,
        Some(_) | None => Readiness::Unknown,
    }
}
