//! The mutex of a cluster: a container with a fixed name, so that only one process can hold it.
//!
//! The container reads a standard input that its holder keeps open. When the holder ends for any reason, the engine
//! closes that input, the container ends, and the engine removes it. An engine with `live-restore` keeps the container
//! when it restarts, without the connection; so the container also ends if its holder writes nothing for a minute.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

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

/// The command of the container. It ends with its input, or if there is none for a minute.
const COMMAND: [&str; 3] = [
    "sh",
    "-c",
    r#"while [ -n "$(timeout 60 head -c 1)" ]; do :; done"#,
];
/// How often the holder writes.
const BEAT: Duration = Duration::from_secs(10);

/// Label of a lock: a random text by which a holder recognises its own lock if the engine's answer was lost.
const LABEL_HOLDER: &str = "dev.kindreg.holder";

/// The lock of one cluster, as a container of the engine.
#[derive(Debug)]
pub struct ContainerLock {
    /// The cluster that is locked.
    pub cluster: ClusterName,
    /// The image of the container, which is present and has a shell.
    pub image: String,
}

#[derive(Debug)]
struct HeldContainer {
    docker: Arc<dyn Docker>,
    id: String,
    lost: CancellationToken,
    /// Ends the task when it is dropped.
    end: DropGuard,
    keeping: JoinHandle<()>,
}

impl HeldContainer {
    fn new(docker: Arc<dyn Docker>, id: String, input: Box<dyn Attached>) -> Self {
        let (lost, end) = (CancellationToken::new(), CancellationToken::new());
        let keeping = tokio::spawn({
            let (lost, end) = (lost.clone(), end.clone());
            async move {
                tokio::select! {
                    biased;
                    () = end.cancelled() => {}
                    () = input.keep(BEAT) => lost.cancel(),
                }
            }
        });
        let end = end.drop_guard();
        Self {
            docker,
            id,
            lost,
            end,
            keeping,
        }
    }
}

#[async_trait]
impl Held for HeldContainer {
    fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    async fn release(self: Box<Self>) {
        let Self {
            docker,
            id,
            end,
            keeping,
            ..
        } = *self;
        drop(end);
        // A task that panicked has closed the input as well.
        let _ = keeping.await;
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
            entrypoint: COMMAND.map(str::to_owned).to_vec(),
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
        // Attach before start: without an attached client, the engine would never close the input.
        let input = ctx.docker.attach(&id).await?;
        ctx.docker.start(&id).await?;
        let docker = Arc::clone(&ctx.docker);
        Ok(Box::new(HeldContainer::new(docker, id, input)))
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
