//! Every node is Ready, as Kubernetes sees it.

use std::time::{Duration, Instant};

use anyhow::Result;
use async_trait::async_trait;
use serde_json::Value;

use super::nodes;
use crate::docker::{Container, ContainerState};
use crate::kube::KubeError;
use crate::problem::Problem;
use crate::spec::Spec;
use crate::step::{Ctx, Leaves, State, Step};

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
        let found = nodes(&*ctx.docker, &self.spec).await?.into_iter();
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
        let start = Instant::now();
        let mut last = State::Missing;
        while start.elapsed() < ctx.patience {
            last = self.check(ctx).await?;
            if last == State::Ready {
                return Ok(());
            }
            ctx.pause(PACE).await?;
        }
        let why = match last {
            State::Drifted(why) => why,
            _ => "no node is Ready".to_owned(),
        };
        Err(Problem::new(
            format!("after {} s: {why}", ctx.patience.as_secs()),
            format!(
                "see why: kubectl --context kind-{0} describe nodes; kind export logs --name {0}",
                self.spec.cluster
            ),
        )
        .into())
    }

    async fn undo(&self, _: &Ctx) -> Result<()> {
        Ok(())
    }
}
