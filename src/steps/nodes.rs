//! The node containers: kind is started, and left at work once all nodes run; `cluster` waits for its end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use async_trait::async_trait;

use super::{cluster, nodes};
use crate::docker::{Container, ContainerState};
use crate::kind::{KindError, Orphan};
use crate::layout::{self, Layout};
use crate::problem::Problem;
use crate::render;
use crate::spec::Spec;
use crate::step::{Ctx, State, Step};

const PACE: Duration = Duration::from_millis(100);
/// For how long no node may have come before it is believed that none will: making one takes the engine 0.3 s.
const QUIET: Duration = Duration::from_secs(2);

/// The containers of all nodes.
#[derive(Debug)]
pub struct Nodes {
    /// What is asked.
    pub spec: Spec,
}

impl Nodes {
    fn network(&self) -> String {
        Layout::of(&self.spec.cluster).network()
    }

    fn name(&self) -> &str {
        self.spec.cluster.as_str()
    }

    /// A cluster is ours if all its nodes are on our network.
    fn refuse_foreign(&self, found: &[Container]) -> Result<()> {
        if found
            .iter()
            .all(|node| node.networks.contains_key(&self.network()))
        {
            return Ok(());
        }
        Err(Problem::foreign(
            format!("there is a kind cluster {} that kindreg did not make", self.name()),
            format!("choose another name with --name, or remove it yourself: kind delete cluster --name {}", self.name()),
        )
        .into())
    }

    /// A cluster that kind finished keeps its size: kind can't add nodes.
    fn refuse_other_size(&self, found: &[Container]) -> Result<()> {
        let wanted = layout::nodes(&self.spec);
        let mut names: Vec<&str> = found.iter().map(|node| node.name.as_str()).collect();
        names.sort_unstable();
        let mut expected: Vec<&str> = wanted.iter().map(String::as_str).collect();
        expected.sort_unstable();
        if names == expected {
            return Ok(());
        }
        Err(Problem::new(
            format!("cluster {} has {} node(s), and {} are asked for", self.name(), names.len(), expected.len()),
            format!("kind can't change that; make it anew: kindreg down --name {0} && kindreg up --name {0}", self.name()),
        )
        .into())
    }

    /// Waits for a kind that a killed kindreg left at work.
    async fn outlast_orphan(&self, ctx: &Ctx) -> Result<()> {
        if ctx.kind.orphan(self.name()).await? == Orphan::None {
            return Ok(());
        }
        ctx.note("waiting for the kind that an earlier kindreg left at work");
        let wait = async {
            while ctx.kind.orphan(self.name()).await? == Orphan::AtWork {
                tokio::time::sleep(PACE).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(ctx.patience, wait)
            .await
            .map_err(|_| {
                Problem::new(
                    format!(
                        "a `kind create cluster --name {}` of an earlier kindreg does not end",
                        self.name()
                    ),
                    format!(
                        "end it yourself: pkill -f 'kind create cluster --name {}'",
                        self.name()
                    ),
                )
            })?
    }

    async fn create(&self, ctx: &Ctx) -> Result<()> {
        let config = render::kind_config(&self.spec)?;
        let creation = ctx
            .kind
            .create(self.name(), &self.network(), &config)
            .await?;
        *ctx.creation.lock().await = Some(creation);
        let started = Instant::now();
        while started.elapsed() < ctx.patience {
            if let Some(creation) = ctx.creation.lock().await.as_mut()
                && creation.ended()
            {
                // Its failure, and not that nodes are missing, is what the user has to see.
                creation.finished().await?;
            }
            if self.all_run(&nodes(&*ctx.docker, &self.spec).await?) {
                return Ok(());
            }
            ctx.pause(PACE).await?;
        }
        bail!("kind has started no nodes in {} s", ctx.patience.as_secs())
    }

    fn all_run(&self, found: &[Container]) -> bool {
        let all = found.len() == layout::nodes(&self.spec).len();
        all && found
            .iter()
            .all(|node| node.state == ContainerState::Running)
    }

    /// The engine finishes what a killed `docker run` had asked of it: nodes may still come, and start, after kind's
    /// end. They are deleted until none has come for a while.
    async fn delete_latecomers(&self, ctx: &Ctx, mut deleted: Result<(), KindError>) -> Result<()> {
        let mut quiet = Instant::now();
        let begun = quiet;
        while quiet.elapsed() < QUIET {
            // Also where the run is to stop: this is its cleaning up.
            tokio::time::sleep(PACE).await;
            if nodes(&*ctx.docker, &self.spec).await?.is_empty() {
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

    async fn start_stopped(&self, ctx: &Ctx, found: &[Container]) -> Result<()> {
        for node in found
            .iter()
            .filter(|node| node.state != ContainerState::Running)
        {
            ctx.docker
                .start(&node.name)
                .await
                .with_context(|| format!("can't start node {}", node.name))?;
        }
        Ok(())
    }
}

#[async_trait]
impl Step for Nodes {
    fn title(&self) -> String {
        match self.spec.workers.number() {
            0 => "node container".to_owned(),
            workers => format!("{} node containers", workers + 1),
        }
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let found = nodes(&*ctx.docker, &self.spec).await?;
        if found.is_empty() {
            return Ok(State::Missing);
        }
        self.refuse_foreign(&found)?;
        if ctx.creation.lock().await.is_none() && !cluster::created(ctx, &self.spec).await? {
            return Ok(State::Drifted(
                "its creation never came to its end".to_owned(),
            ));
        }
        self.refuse_other_size(&found)?;
        let stopped: Vec<&str> = found
            .iter()
            .filter(|node| node.state != ContainerState::Running)
            .map(|node| node.name.as_str())
            .collect();
        Ok(if stopped.is_empty() {
            State::Ready
        } else {
            State::Drifted(format!("not running: {}", stopped.join(", ")))
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        ctx.unless_stopped(self.outlast_orphan(ctx)).await??;
        let found = nodes(&*ctx.docker, &self.spec).await?;
        if !found.is_empty() && cluster::created(ctx, &self.spec).await? {
            return self.start_stopped(ctx, &found).await;
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
        let found = nodes(&*ctx.docker, &self.spec).await?;
        self.refuse_foreign(&found)?;
        let deleted = ctx.kind.delete(self.name()).await;
        if creation.is_some() && !self.all_run(&found) {
            return self.delete_latecomers(ctx, deleted).await;
        }
        Ok(deleted?)
    }
}
