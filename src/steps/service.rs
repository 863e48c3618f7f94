//! A registry serves: its container runs and accepts connections.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;

use super::our_container;
use crate::docker::{ContainerState, DockerError};
use crate::layout::Layout;
use crate::problem::Problem;
use crate::registry::distribution;
use crate::spec::{ClusterName, Registry};
use crate::step::{Ctx, State, Step};

/// How often its log is looked at.
const PACE: Duration = Duration::from_millis(50);
/// How long a registry may take from its start to its first connection; it takes about 0.1 s.
const LIMIT: u32 = 400;

/// The running registry.
#[derive(Debug)]
pub struct Service {
    /// Whose it is.
    pub cluster: ClusterName,
    /// The registry.
    pub registry: Registry,
}

impl Service {
    fn container(&self) -> String {
        Layout::of(&self.cluster).registry(&self.registry.name)
    }
}

#[async_trait]
impl Step for Service {
    fn title(&self) -> String {
        format!(
            "registry {} at 127.0.0.1:{}",
            self.registry.domain(),
            self.registry.port
        )
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let found =
            our_container(&*ctx.docker, &Layout::of(&self.cluster), &self.container()).await?;
        Ok(match found.map(|container| container.state) {
            None | Some(ContainerState::Created) => State::Missing,
            Some(ContainerState::Running) => State::Ready,
            Some(ContainerState::Exited { code }) => {
                State::Drifted(format!("it stopped with exit code {code}"))
            }
            Some(ContainerState::Other(state)) => State::Drifted(format!("it is {state}")),
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let container = self.container();
        match ctx.docker.start(&container).await {
            Err(error @ DockerError::PortTaken { .. }) => {
                return Err(error).context(Problem::new(
                    format!("port {} of the engine's host is taken", self.registry.port),
                    format!(
                        "choose another one with --port, or see who has it: docker ps --filter publish={0}, \
                         ss -ltnp 'sport = :{0}'",
                        self.registry.port
                    ),
                ));
            }
            other => other?,
        }
        for _ in 0..LIMIT {
            let log = ctx.docker.logs(&container, 20).await?;
            if log.contains(distribution::LISTENING) {
                return Ok(());
            }
            if self.check(ctx).await? != State::Ready {
                bail!("the registry ended at once; its last words: {}", log.trim());
            }
            ctx.pause(PACE).await?;
        }
        bail!("the registry runs and accepts no connection; see: docker logs {container}")
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        // It has nothing to save, and a container that ran once is not `Created` again.
        Ok(ctx.docker.remove(&self.container()).await?)
    }
}
