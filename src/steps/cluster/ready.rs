//! Step: the readiness of all nodes in Kubernetes.

use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use serde_json::Value;

use crate::docker::{Container, ContainerState};
use crate::kube::KubeError;
use crate::observe::nodes;
use crate::problem::Problem;
use crate::spec::Spec;
use crate::step::{Ctx, Leaves, Polled, State, Step, StepId};

const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The step that waits until every node is Ready.
#[derive(Debug)]
pub struct NodesReady {
    /// The Spec that is wanted.
    pub spec: Spec,
}

fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

#[async_trait]
impl Step for NodesReady {
    fn id(&self) -> StepId {
        StepId::new("cluster.nodes-ready")
    }

    fn title(&self) -> String {
        "node readiness".to_owned()
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let list = match ctx.kube.get("/api/v1/nodes").await {
            Ok(list) => list.unwrap_or_default(),
            Err(KubeError::Unreachable(_)) => return Ok(State::Missing),
            Err(error) => return Err(error.into()),
        };
        let ready: Vec<&str> = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|node| is_ready(node))
            .filter_map(|node| node["metadata"]["name"].as_str())
            .collect();
        // The API notices late that a node has stopped, so look at the containers too.
        let runs = |node: &Container| node.state == ContainerState::Running;
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?.into_iter();
        let waiting: Vec<String> = found
            .filter(|node| !runs(node) || !ready.contains(&node.name.as_str()))
            .map(|node| node.name)
            .collect();
        Ok(if waiting.is_empty() {
            State::Ready
        } else if ready.is_empty() {
            State::Missing
        } else {
            State::Drifted(format!("not Ready: {}", waiting.join(", ")))
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let ready = ctx.poll(POLL_INTERVAL, || async move {
            Ok((self.check(ctx).await? == State::Ready).then_some(()))
        });
        if matches!(ready.await?, Polled::Answer(())) {
            return Ok(());
        }
        let why = self.check(ctx).await?.why();
        let why = why.unwrap_or_else(|| "no node is Ready".to_owned());
        Err(Problem::new(
            format!(
                "timed out after {} s waiting for nodes: {why}",
                ctx.patience.as_secs()
            ),
            format!(
                "run: kubectl --context kind-{0} describe nodes; kind export logs --name {0}",
                self.spec.cluster
            ),
        )
        .into())
    }
}
