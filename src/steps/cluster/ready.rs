//! Every node is Ready, as Kubernetes sees it.

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

const PACE: Duration = Duration::from_millis(250);

/// The condition Ready of every node.
#[derive(Debug)]
pub struct NodesReady {
    /// What is asked.
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
        "all nodes Ready".to_owned()
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
        // The API finds out late that a node stopped.
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
        let ready = ctx.poll(PACE, || async move {
            Ok((self.check(ctx).await? == State::Ready).then_some(()))
        });
        if matches!(ready.await?, Polled::Answer(())) {
            return Ok(());
        }
        let why = self.check(ctx).await?.why();
        let why = why.unwrap_or_else(|| "no node is Ready".to_owned());
        Err(Problem::new(
            format!("after {} s: {why}", ctx.patience.as_secs()),
            format!(
                "see why: kubectl --context kind-{0} describe nodes; kind export logs --name {0}",
                self.spec.cluster
            ),
        )
        .into())
    }
}
