//! The mutex of a cluster: a container with a fixed name, so that only one process can hold it.
//!
//! The container runs `cat` on a standard input that its holder keeps open. When the holder ends for any reason, the
//! engine closes that input, `cat` ends, and the engine removes the container.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_trait::async_trait;

use crate::docker::{
    Afterwards, Attached, Capabilities, ContainerSpec, ContainerState, Docker, DockerError, Input,
    NetworkMode, Restart,
};
use crate::engine::{Held, Lock};
use crate::layout::Layout;
use crate::nonce::nonce;
use crate::observe::owns;
use crate::problem::Problem;
use crate::spec::{ClusterName, Spec};
use crate::step::Ctx;

const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// A lock container that is not started for this long has no holder: a holder starts it within milliseconds.
const STALE: Duration = Duration::from_secs(5);

/// Label of a lock: a random text by which a holder recognises its own lock if the engine's answer was lost.
const LABEL_HOLDER: &str = "dev.kindreg.holder";

/// The lock of one cluster, as a container of the engine.
#[derive(Debug)]
pub struct ContainerLock {
    /// The cluster that is locked.
    pub cluster: ClusterName,
    /// The image of the container, which is present and has `cat`.
    pub image: String,
}

#[derive(Debug)]
struct HeldContainer {
    docker: Arc<dyn Docker>,
    id: String,
    input: Box<dyn Attached>,
}

#[async_trait]
impl Held for HeldContainer {
    async fn release(self: Box<Self>) {
        let Self { docker, id, input } = *self;
        drop(input);
        // The engine removes the container anyway. Removing it here is only faster, so a failure does not matter.
        let _ = docker.remove(&id).await;
    }
}

impl ContainerLock {
    /// Returns the lock of a Spec's cluster.
    #[must_use]
    pub fn of(spec: &Spec) -> Self {
        Self {
            cluster: spec.cluster.clone(),
            image: spec.target.node_image().to_string(),
        }
    }

    fn container(&self, holder: &str) -> ContainerSpec {
        let layout = Layout::of(&self.cluster);
        let mut labels = layout.labels();
        labels.insert(LABEL_HOLDER.to_owned(), holder.to_owned());
        ContainerSpec {
            name: layout.lock(),
            image: self.image.clone(),
            entrypoint: vec!["cat".to_owned()],
            command: Vec::new(),
            environment: BTreeMap::new(),
            labels,
            mounts: Vec::new(),
            network: NetworkMode::None,
            ports: Vec::new(),
            restart: Restart::No,
            capabilities: Capabilities::Only(Vec::new()),
            input: Input::UntilClientLeaves,
            afterwards: Afterwards::Remove,
        }
    }

    /// Removes the lock if it belongs to this holder: it may exist although its creation seemed to fail.
    async fn drop_own(&self, ctx: &Ctx, name: &str, holder: &str) {
        if let Ok(Some(found)) = ctx.docker.container(name).await
            && found
                .labels
                .get(LABEL_HOLDER)
                .is_some_and(|label| label == holder)
        {
            let _ = ctx.docker.remove(&found.id).await;
        }
    }

    async fn hold(&self, ctx: &Ctx, id: String) -> Result<Box<dyn Held>> {
        // Attach before start: without an attached client, the engine would never close the input of `cat`.
        let input = ctx.docker.attach(&id).await?;
        ctx.docker.start(&id).await?;
        Ok(Box::new(HeldContainer {
            docker: Arc::clone(&ctx.docker),
            id,
            input,
        }))
    }
}

#[async_trait]
impl Lock for ContainerLock {
    async fn acquire(&self, ctx: &Ctx) -> Result<Box<dyn Held>> {
        let holder = nonce().context("can't generate a random lock id")?;
        let spec = self.container(&holder);
        let begun = Instant::now();
        let mut idle: Option<(String, Instant)> = None;
        let mut said = false;
        loop {
            match ctx.docker.create(&spec).await {
                Ok(id) => {
                    let held = self.hold(ctx, id.clone()).await;
                    if held.is_err() {
                        let _ = ctx.docker.remove(&id).await;
                    }
                    return held;
                }
                Err(DockerError::NameTaken { .. }) => {}
                Err(error) => {
                    self.drop_own(ctx, &spec.name, &holder).await;
                    return Err(error.into());
                }
            }
            if let Some(holder) = ctx.docker.container(&spec.name).await? {
                if !owns(&*ctx.docker, &Layout::of(&self.cluster), &holder).await? {
                    return Err(Problem::foreign(
                        format!(
                            "container {} exists and was not created by kindreg",
                            spec.name
                        ),
                        format!("run: docker rm -f {}", spec.name),
                    )
                    .into());
                }
                let since = match idle.take() {
                    Some((id, since)) if id == holder.id => since,
                    _ => Instant::now(),
                };
                if holder.state == ContainerState::Created {
                    if since.elapsed() > STALE {
                        // By id: another process may have created a new lock of that name.
                        ctx.docker.remove(&holder.id).await?;
                    } else {
                        idle = Some((holder.id, since));
                    }
                }
            }
            if !said {
                ctx.note(format!(
                    "waiting for another kindreg that is changing cluster {}",
                    self.cluster
                ));
                said = true;
            }
            if begun.elapsed() > ctx.patience {
                return Err(Problem::new(
                    format!(
                        "timed out after {} s waiting for another kindreg that is changing cluster {}",
                        ctx.patience.as_secs(),
                        self.cluster
                    ),
                    format!(
                        "wait longer with --timeout, or run: docker ps --filter name={}",
                        spec.name
                    ),
                )
                .into());
            }
            ctx.unless_stopped(tokio::time::sleep(POLL_INTERVAL))
                .await?;
        }
    }
}
