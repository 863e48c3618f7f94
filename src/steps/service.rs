//! A registry serves: its container runs and accepts connections.

use std::time::Duration;

use anyhow::{Result, anyhow};
use async_trait::async_trait;

use super::our_container;
use crate::docker::{ContainerState, DockerError};
use crate::layout::Layout;
use crate::problem::Problem;
use crate::registry::distribution;
use crate::spec::{ClusterName, Port, Registry};
use crate::step::{Ctx, State, Step};

/// How often its log is looked at.
const PACE: Duration = Duration::from_millis(50);
/// How long a registry may take from its start to its first connection; it takes about 0.1 s.
const LIMIT: u32 = 400;

/// A registry's port is taken on the engine's host; its container is gone again.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct PortTaken {
    /// The port.
    pub port: Port,
    /// What the engine said.
    pub cause: DockerError,
}

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

    fn ailing(&self, how: &str) -> Problem {
        Problem::new(
            format!("the registry {how}"),
            format!(
                "see what it says: docker logs {}, which `up --keep-on-failure` leaves there",
                self.container()
            ),
        )
    }

    fn explain(&self, cause: DockerError) -> anyhow::Error {
        let port = self.registry.port;
        if !matches!(cause, DockerError::PortTaken { .. }) {
            return cause.into();
        }
        anyhow::Error::from(PortTaken { port, cause }).context(Problem::new(
            format!("port {port} of the engine's host is taken"),
            format!(
                "choose another one with --port, let one be found with --port auto, or see who has it: \
                 docker ps --filter publish={port}, ss -ltnp 'sport = :{port}'"
            ),
        ))
    }

    /// Why it does not serve, by its log.
    fn ended(&self, log: &str) -> anyhow::Error {
        let problem = match self.registry.upstream() {
            // https://github.com/distribution/distribution/issues/4490
            Some(upstream) => Problem::new(
                format!("the cache of {upstream} does not start where it can't reach {upstream}"),
                "see to its name, its port and its CA (upstream_ca), or leave mirror_of out; \
                 where there is no network, mirror_of = \"*\" is a registry that one pushes to",
            ),
            None => self.ailing("ended at once"),
        };
        anyhow!("its last words: {log}").context(problem)
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
        if let Err(error) = ctx.docker.start(&container).await {
            // Docker 29 takes a container whose start failed off its networks, and starts it without them later. Its
            // data are on volumes; the next run makes it anew.
            ctx.docker.remove(&container).await?;
            return Err(self.explain(error));
        }
        for _ in 0..LIMIT {
            let log = ctx.docker.logs(&container, 20).await?;
            if log.contains(distribution::LISTENING) {
                return Ok(());
            }
            if self.check(ctx).await? != State::Ready {
                return Err(self.ended(log.trim()));
            }
            ctx.pause(PACE).await?;
        }
        Err(self.ailing("runs and accepts no connection").into())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        // It has nothing to save, and a container that ran once is not `Created` again.
        Ok(ctx.docker.remove(&self.container()).await?)
    }
}
