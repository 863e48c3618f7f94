//! Step: the readiness of all nodes in Kubernetes, or their registration if the user is to install the CNI plug-in: no
//! node becomes Ready without one.

use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;

use crate::docker::{Container, ContainerState};
use crate::observe::{Readiness, nodes, readiness};
use crate::problem::Problem;
use crate::spec::{CniPlugin, Spec, Target};
use crate::step::{Ctx, Leaves, Polled, State, Step, StepId};

const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The step that waits until every node is Ready.
#[derive(Debug)]
pub struct NodesReady {
    /// The Spec that is wanted.
    pub spec: Spec,
}

impl NodesReady {
    fn cni_plugin(&self) -> CniPlugin {
        let Target::Owned(owned) = &self.spec.target;
        owned.cni_plugin()
    }

    /// Returns whether there is nothing to wait for on a node.
    fn is_enough(&self, readiness: Readiness) -> bool {
        match (readiness, self.cni_plugin()) {
            (Readiness::Ready, _) | (Readiness::Registered, CniPlugin::Users) => true,
            (Readiness::Registered, CniPlugin::Kinds) | (Readiness::Unknown, _) => false,
        }
    }
}

#[async_trait]
impl Step for NodesReady {
    fn id(&self) -> StepId {
        StepId::new("cluster.nodes-ready")
    }

    fn title(&self) -> String {
        let title = match self.cni_plugin() {
            CniPlugin::Kinds => "node readiness",
            CniPlugin::Users => "node registration",
        };
        title.to_owned()
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let cluster = &self.spec.cluster;
        let Some(known) = readiness(&*ctx.docker, &*ctx.kube, cluster).await? else {
            return Ok(State::Missing);
        };
        let enough = known
            .iter()
            .filter(|(_, readiness)| self.is_enough(**readiness));
        let ready: Vec<&str> = enough.map(|(name, _)| name.as_str()).collect();
        // The API notices late that a node has stopped, so look at the containers too.
        let runs = |node: &Container| node.state == ContainerState::Running;
        let found = nodes(&*ctx.docker, cluster).await?.into_iter();
        let waiting: Vec<String> = found
            .filter(|node| !runs(node) || !ready.contains(&node.name.as_str()))
            .map(|node| node.name)
            .collect();
        Ok(if waiting.is_empty() {
            State::Ready
        } else if ready.is_empty() {
            State::Missing
        } else {
            let wanted = match self.cni_plugin() {
                CniPlugin::Kinds => "Ready",
                CniPlugin::Users => "registered",
            };
            State::Drifted(format!("not {wanted}: {}", waiting.join(", ")))
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
