//! Step: the node containers. It starts kind and returns when all nodes run; the `cluster` step waits until kind ends.
//!
//! The load balancer that kind puts before several control planes counts too: the nodes reach the API through it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_trait::async_trait;

use crate::docker::{Container, ContainerState};
use crate::kind::Orphan;
use crate::layout::{self, Layout};
use crate::observe::nodes_and_balancer;
use crate::problem::Problem;
use crate::registry::managed;
use crate::render;
use crate::spec::{OwnedCluster, Spec};
use crate::step::{Ctx, Polled, State, Step, StepId};
use crate::steps::cluster::created;

const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long no new node may appear before the clean-up ends. The engine takes 0.3 s to create one.
const QUIET: Duration = Duration::from_secs(2);

/// The step that creates the containers of all nodes.
#[derive(Debug)]
pub struct Nodes {
    /// The Spec that is wanted.
    pub spec: Spec,
    /// The cluster in that Spec.
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

    /// Returns the nodes of the Spec that do not exist, and the load balancer if several control planes lack it.
    fn missing(&self, found: &[Container]) -> Vec<String> {
        let mut missing = layout::kind_containers(&self.spec);
        missing.retain(|name| found.iter().all(|node| node.name != *name));
        missing
    }

    /// Fails if a finished cluster has lost containers: kind can't add any.
    fn refuse_missing(&self, found: &[Container]) -> Result<()> {
        let missing = self.missing(found);
        if missing.is_empty() {
            return Ok(());
        }
        Err(Problem::new(
            format!(
                "containers of cluster {} are missing: {}",
                self.name(),
                missing.join(", ")
            ),
            format!(
                "run: kindreg down --name {0} && kindreg up --name {0}",
                self.name()
            ),
        )
        .into())
    }

    /// Waits for a `kind create cluster` that a killed kindreg left running.
    async fn wait_for_orphan(&self, ctx: &Ctx) -> Result<()> {
        if ctx.kind.orphan(self.name()).await? == Orphan::None {
            return Ok(());
        }
        ctx.note("waiting for a `kind create` left running by an earlier run");
        let ended = ctx.poll(POLL_INTERVAL, || async move {
            let orphan = ctx.kind.orphan(self.name()).await?;
            Ok((orphan == Orphan::None).then_some(()))
        });
        if matches!(ended.await?, Polled::Answer(())) {
            return Ok(());
        }
        let create = format!("kind create cluster --name {}", self.name());
        Err(Problem::new(
            format!(
                "timed out after {} s waiting for `{create}` of an earlier run",
                ctx.patience.as_secs()
            ),
            format!("run: pkill -f '{create}'"),
        )
        .into())
    }

    async fn create(&self, ctx: &Ctx) -> Result<()> {
        let config = render::kind_config(&self.spec.cluster, &self.owned)?;
        // A proxy would be asked for names that only the cluster's network knows.
        let direct = managed(&self.spec).flat_map(|registry| {
            let hosts = registry.registry().hosts().map(ToString::to_string);
            hosts.collect::<Vec<String>>()
        });
        let direct: Vec<String> = direct.collect();
        let creation = ctx
            .kind
            .create(self.name(), &self.network(), &config, &direct)
            .await?;
        *ctx.creation.lock().await = Some(creation);
        let all_run = ctx.poll(POLL_INTERVAL, || async move {
            if let Some(creation) = ctx.creation.lock().await.as_mut()
                && creation.ended()
            {
                // Show why kind failed, and not that nodes are missing.
                creation.finished().await?;
            }
            let found = nodes_and_balancer(&*ctx.docker, &self.spec.cluster).await?;
            Ok(self.all_run(&found).then_some(()))
        });
        if matches!(all_run.await?, Polled::Answer(())) {
            return Ok(());
        }
        Err(Problem::new(
            format!(
                "timed out after {} s waiting for kind to start the nodes",
                ctx.patience.as_secs()
            ),
            "wait longer with --timeout, or run: docker events --since 10m",
        )
        .into())
    }

    fn all_run(&self, found: &[Container]) -> bool {
        self.missing(found).is_empty() && found.iter().all(runs)
    }

    /// Deletes the cluster, unless kind hangs.
    async fn delete(&self, ctx: &Ctx) -> Result<()> {
        let deleted = tokio::time::timeout(ctx.patience, ctx.kind.delete(self.name())).await;
        let Ok(deleted) = deleted else {
            let delete = format!("kind delete cluster --name {}", self.name());
            return Err(Problem::new(
                format!(
                    "timed out after {} s waiting for `{delete}`",
                    ctx.patience.as_secs()
                ),
                format!("wait longer with --timeout, or run: {delete}"),
            )
            .into());
        };
        Ok(deleted?)
    }

    /// Deletes nodes that appear after kind was killed, until none has appeared for [`QUIET`]. The engine finishes the
    /// requests of a killed `docker run`.
    async fn delete_late_nodes(&self, ctx: &Ctx, mut deleted: Result<()>) -> Result<()> {
        let mut quiet = Instant::now();
        let begun = quiet;
        while quiet.elapsed() < QUIET {
            // Not ended by a stop of the run: this is its clean-up.
            tokio::time::sleep(POLL_INTERVAL).await;
            if nodes_and_balancer(&*ctx.docker, &self.spec.cluster)
                .await?
                .is_empty()
            {
                continue;
            }
            deleted = self.delete(ctx).await;
            if begun.elapsed() > ctx.patience {
                break;
            }
            quiet = Instant::now();
        }
        deleted
    }

    fn node_problem(&self, what: &str, node: &Container) -> Problem {
        Problem::new(
            format!("can't {what} node {}", node.name),
            format!(
                "run: kindreg down --name {0} && kindreg up --name {0}",
                self.name()
            ),
        )
    }

    /// Connects every node to our network, and starts those that are stopped.
    async fn restart(&self, ctx: &Ctx, found: &[Container]) -> Result<()> {
        for node in found.iter().filter(|node| !self.is_connected(node)) {
            let connected = ctx.docker.connect(&self.network(), &node.name, &[]).await;
            connected.with_context(|| self.node_problem("connect", node))?;
        }
        for node in found.iter().filter(|node| !runs(node)) {
            let started = ctx.docker.start(&node.name).await;
            started.with_context(|| self.node_problem("start", node))?;
        }
        Ok(())
    }
}

fn runs(node: &Container) -> bool {
    node.state == ContainerState::Running
}

/// Returns what is wrong with these nodes; `None` if there are none.
fn difference(what: &str, nodes: &[&str]) -> Option<String> {
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
        let found = nodes_and_balancer(&*ctx.docker, &self.spec.cluster).await?;
        if found.is_empty() {
            return Ok(State::Missing);
        }
        if ctx.creation.lock().await.is_none() && !created(ctx, &self.spec).await? {
            return Ok(State::Drifted("cluster creation did not finish".to_owned()));
        }
        let missing = self.missing(&found);
        let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
        let which = |wrong: &dyn Fn(&Container) -> bool| -> Vec<&str> {
            let wrong = found.iter().filter(|node| wrong(node));
            wrong.map(|node| node.name.as_str()).collect()
        };
        let off = format!("not on network {}", self.network());
        let differences = [
            difference("missing", &missing),
            difference("not running", &which(&|node| !runs(node))),
            difference(&off, &which(&|node| !self.is_connected(node))),
        ];
        let differences: Vec<String> = differences.into_iter().flatten().collect();
        Ok(if differences.is_empty() {
            State::Ready
        } else {
            State::Drifted(differences.join("; "))
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        self.wait_for_orphan(ctx).await?;
        let found = nodes_and_balancer(&*ctx.docker, &self.spec.cluster).await?;
        if !found.is_empty() && created(ctx, &self.spec).await? {
            self.refuse_missing(&found)?;
            return self.restart(ctx, &found).await;
        }
        // No `up` has finished this cluster, so it has no user's work and may be deleted.
        if !found.is_empty() {
            self.delete(ctx).await?;
        }
        self.create(ctx).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let mut creation = ctx.creation.lock().await.take();
        if let Some(creation) = creation.as_mut() {
            creation.abort().await;
        }
        self.wait_for_orphan(ctx).await?;
        let found = nodes_and_balancer(&*ctx.docker, &self.spec.cluster).await?;
        let deleted = self.delete(ctx).await;
        if creation.is_some() && !self.all_run(&found) {
            return self.delete_late_nodes(ctx, deleted).await;
        }
        deleted
    }
}
