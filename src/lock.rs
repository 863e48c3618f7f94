//! The mutex of a cluster: a container whose name only one can have, gone with the process that holds it.
//!
//! It runs `cat` on a standard input that its holder keeps open. When the holder dies, however it dies, the engine
//! closes that input, `cat` ends, and the engine removes the container.

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
use crate::problem::Problem;
use crate::spec::{ClusterName, Spec};
use crate::step::Ctx;

const PACE: Duration = Duration::from_millis(200);
/// A lock that was made and not started for this long belongs to nobody: its maker starts it within milliseconds.
const STALE: Duration = Duration::from_secs(5);

/// Label of a lock: a text that only its holder knows, so that it finds its own again when an answer gets lost.
const LABEL_HOLDER: &str = "dev.kindreg.holder";

/// The lock of one cluster, as a container of the engine.
#[derive(Debug)]
pub struct ContainerLock {
    /// Whose it is.
    pub cluster: ClusterName,
    /// An image with `cat`; the record's own is taken where there is one, as no tag can be taken off that.
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
        // It goes by itself; removing it only makes that quicker, so a failure changes nothing.
        let _ = docker.remove(&id).await;
    }
}

impl ContainerLock {
    /// The lock of a Spec's cluster.
    #[must_use]
    pub fn of(spec: &Spec) -> Self {
        Self {
            cluster: spec.cluster.clone(),
            image: spec.target.node_image().to_string(),
        }
    }

    async fn container(&self, ctx: &Ctx, holder: &str) -> Result<ContainerSpec> {
        let layout = Layout::of(&self.cluster);
        let record = ctx.docker.container(&layout.record()).await?;
        let record = record.filter(|record| layout.owns(&record.labels));
        let mut labels = layout.labels();
        labels.insert(LABEL_HOLDER.to_owned(), holder.to_owned());
        Ok(ContainerSpec {
            name: layout.lock(),
            image: record.map_or_else(|| self.image.clone(), |record| record.image),
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
        })
    }

    /// Removes the lock if it is this holder's, which it may be though making it seemed to fail.
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
        // Attached first: with nobody attached, `cat` would see no end of its input.
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
        let holder = nonce().context("no random numbers are available")?;
        let spec = self.container(ctx, &holder).await?;
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
                if !Layout::of(&self.cluster).owns(&holder.labels) {
                    return Err(Problem::foreign(
                        format!(
                            "there is a container {} that kindreg did not make",
                            spec.name
                        ),
                        format!("remove it yourself: docker rm -f {}", spec.name),
                    )
                    .into());
                }
                let since = match idle.take() {
                    Some((id, since)) if id == holder.id => since,
                    _ => Instant::now(),
                };
                if holder.state == ContainerState::Created {
                    if since.elapsed() > STALE {
                        // By its id: another one of that name may be alive by now.
                        ctx.docker.remove(&holder.id).await?;
                    } else {
                        idle = Some((holder.id, since));
                    }
                }
            }
            if !said {
                ctx.note(format!(
                    "another kindreg is at work on cluster {}; waiting for it",
                    self.cluster
                ));
                said = true;
            }
            if begun.elapsed() > ctx.patience {
                return Err(Problem::new(
                    format!(
                        "another kindreg has been at work on cluster {} for {} s",
                        self.cluster,
                        ctx.patience.as_secs()
                    ),
                    format!(
                        "wait for it, or see whether it hangs: docker ps --filter name={}",
                        spec.name
                    ),
                )
                .into());
            }
            ctx.unless_stopped(tokio::time::sleep(PACE)).await?;
        }
    }
}
