//! The node containers: kind is started, and left at work once all nodes run; `cluster` waits for its end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_trait::async_trait;

use crate::docker::{Container, ContainerState};
use crate::kind::{KindError, Orphan};
use crate::layout::{self, Layout};
use crate::observe::nodes;
use crate::problem::Problem;
use crate::render;
use crate::spec::{OwnedCluster, Spec};
use crate::step::{Ctx, Polled, State, Step, StepId};
use crate::steps::cluster::created;

const PACE: Duration = Duration::from_millis(100);
/// For how long no node may have come before it is believed that none will: making one takes the engine 0.3 s.
const QUIET: Duration = Duration::from_secs(2);

/// The containers of all nodes.
#[derive(Debug)]
pub struct Nodes {
    /// What is asked.
    pub spec: Spec,
    /// The cluster of it.
    pub owned: OwnedCluster,
}

impl Nodes {
    fn network(&self) -> String {
        Layout::of(&self.spec.cluster).network()
    }

    fn name(&self) -> &str {
        self.spec.cluster.as_str()
    }

    fn is_connected(&self, node: &Container) -> bool {
        node.networks.contains_key(&self.network())
    }

    /// A cluster is ours if its control plane is of our network; without one, if all its nodes are.
    fn refuse_foreign(&self, found: &[Container]) -> Result<()> {
        let control_plane = Layout::of(&self.spec.cluster).control_plane();
        // One that was taken off it is. And one that is only just made, which Docker 20.10 shows on no network yet.
        let is_of_ours =
            |node: &Container| node.network_mode == self.network() || self.is_connected(node);
        let ours = match found.iter().find(|node| node.name == control_plane) {
            Some(node) => is_of_ours(node),
            None => found.iter().all(is_of_ours),
        };
        if ours {
            return Ok(());
        }
        Err(Problem::foreign(
            format!(
                "kind cluster {} exists and was not created by kindreg",
                self.name()
            ),
            format!(
                "choose another name with --name, or remove it: kind delete cluster --name {}",
                self.name()
            ),
        )
        .into())
    }

    /// Nodes that are asked for and not there. Others may be: somebody joined them.
    fn gone(&self, found: &[Container]) -> Vec<String> {
        let mut gone = layout::nodes(&self.spec);
        gone.retain(|name| found.iter().all(|node| node.name != *name));
        gone
    }

    /// A cluster that kind finished keeps its nodes: kind can't add any.
    fn refuse_smaller(&self, found: &[Container]) -> Result<()> {
        let gone = self.gone(found);
        if gone.is_empty() {
            return Ok(());
        }
        Err(Problem::new(
            format!("nodes of cluster {} are missing: {}", self.name(), gone.join(", ")),
            format!("kind can't create them again; recreate the cluster: kindreg down --name {0} && kindreg up --name {0}", self.name()),
        )
        .into())
    }

    /// Waits for a kind that a killed kindreg left at work.
    async fn outlast_orphan(&self, ctx: &Ctx) -> Result<()> {
        if ctx.kind.orphan(self.name()).await? == Orphan::None {
            return Ok(());
        }
        ctx.note("waiting for a `kind create` left running by an earlier run");
        let ended = ctx.poll(PACE, || async move {
            let orphan = ctx.kind.orphan(self.name()).await?;
            Ok((orphan == Orphan::None).then_some(()))
        });
        if matches!(ended.await?, Polled::Answer(())) {
            return Ok(());
        }
        let create = format!("kind create cluster --name {}", self.name());
        Err(Problem::new(
            format!("`{create}` of an earlier run does not end"),
            format!("end it: pkill -f '{create}'"),
        )
        .into())
    }

    async fn create(&self, ctx: &Ctx) -> Result<()> {
        let config = render::kind_config(&self.spec.cluster, &self.owned)?;
        let creation = ctx
            .kind
            .create(self.name(), &self.network(), &config)
            .await?;
        *ctx.creation.lock().await = Some(creation);
        let all_run = ctx.poll(PACE, || async move {
            if let Some(creation) = ctx.creation.lock().await.as_mut()
                && creation.ended()
            {
                // Its failure, and not that nodes are missing, is what the user has to see.
                creation.finished().await?;
            }
            let found = nodes(&*ctx.docker, &self.spec.cluster).await?;
            Ok(self.all_run(&found).then_some(()))
        });
        if matches!(all_run.await?, Polled::Answer(())) {
            return Ok(());
        }
        Err(Problem::new(
            format!("kind has started no nodes in {} s", ctx.patience.as_secs()),
            "give it more with --timeout, or see what the engine is at: docker events",
        )
        .into())
    }

    fn all_run(&self, found: &[Container]) -> bool {
        self.gone(found).is_empty() && found.iter().all(runs)
    }

    /// The engine finishes what a killed `docker run` had asked of it: nodes may still come, and start, after kind's
    /// end. They are deleted until none has come for a while.
    async fn delete_latecomers(&self, ctx: &Ctx, mut deleted: Result<(), KindError>) -> Result<()> {
        let mut quiet = Instant::now();
        let begun = quiet;
        while quiet.elapsed() < QUIET {
            // Also where the run is to stop: this is its cleaning up.
            tokio::time::sleep(PACE).await;
            if nodes(&*ctx.docker, &self.spec.cluster).await?.is_empty() {
                continue;
            }
            deleted = ctx.kind.delete(self.name()).await;
            if begun.elapsed() > ctx.patience {
                break;
            }
            quiet = Instant::now();
        }
        Ok(deleted?)
    }

    fn stuck(&self, what: &str, node: &Container) -> Problem {
        Problem::new(
            format!("can't {what} node {}", node.name),
            format!(
                "recreate the cluster: kindreg down --name {0} && kindreg up --name {0}",
                self.name()
            ),
        )
    }

    /// Every node runs, and is where it finds the registry.
    async fn revive(&self, ctx: &Ctx, found: &[Container]) -> Result<()> {
        for node in found.iter().filter(|node| !self.is_connected(node)) {
            let connected = ctx.docker.connect(&self.network(), &node.name, &[]).await;
            connected.with_context(|| self.stuck("connect", node))?;
        }
        for node in found.iter().filter(|node| !runs(node)) {
            let started = ctx.docker.start(&node.name).await;
            started.with_context(|| self.stuck("start", node))?;
        }
        Ok(())
    }
}

fn runs(node: &Container) -> bool {
    node.state == ContainerState::Running
}

/// What is wrong with these nodes; `None` where there are none.
fn complaint(what: &str, nodes: &[&str]) -> Option<String> {
    (!nodes.is_empty()).then(|| format!("{what}: {}", nodes.join(", ")))
}

#[async_trait]
impl Step for Nodes {
    fn id(&self) -> StepId {
        StepId::new("node.containers")
    }

    fn title(&self) -> String {
        "node containers".to_owned()
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?;
        if found.is_empty() {
            return Ok(State::Missing);
        }
        self.refuse_foreign(&found)?;
        if ctx.creation.lock().await.is_none() && !created(ctx, &self.spec).await? {
            return Ok(State::Drifted("cluster creation did not finish".to_owned()));
        }
        let gone = self.gone(&found);
        let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
        let which = |wrong: &dyn Fn(&Container) -> bool| -> Vec<&str> {
            let wrong = found.iter().filter(|node| wrong(node));
            wrong.map(|node| node.name.as_str()).collect()
        };
        let off = format!("not on network {}", self.network());
        let complaints = [
            complaint("missing", &gone),
            complaint("not running", &which(&|node| !runs(node))),
            complaint(&off, &which(&|node| !self.is_connected(node))),
        ];
        let complaints: Vec<String> = complaints.into_iter().flatten().collect();
        Ok(if complaints.is_empty() {
            State::Ready
        } else {
            State::Drifted(complaints.join("; "))
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        self.outlast_orphan(ctx).await?;
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?;
        if !found.is_empty() && created(ctx, &self.spec).await? {
            self.refuse_smaller(&found)?;
            return self.revive(ctx, &found).await;
        }
        // No `up` ever said that this cluster was done, so nobody's work is on it.
        if !found.is_empty() {
            self.refuse_foreign(&found)?;
            ctx.kind.delete(self.name()).await?;
        }
        self.create(ctx).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let mut creation = ctx.creation.lock().await.take();
        if let Some(creation) = creation.as_mut() {
            creation.abort().await;
        }
        self.outlast_orphan(ctx).await?;
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?;
        self.refuse_foreign(&found)?;
        let deleted = ctx.kind.delete(self.name()).await;
        if creation.is_some() && !self.all_run(&found) {
            return self.delete_latecomers(ctx, deleted).await;
        }
        Ok(deleted?)
    }
}
