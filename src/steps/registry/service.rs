//! A registry serves: its containers run, and it answers over TLS with its own certificate.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use async_trait::async_trait;

use crate::docker::{ContainerState, DockerError};
use crate::layout::Layout;
use crate::observe::{ca, our_container};
use crate::problem::Problem;
use crate::registry::Managed;
use crate::spec::{Port, Spec};
use crate::step::{Ctx, State, Step, StepId};
use crate::steps::host::{Script, ScriptFailed};

/// Name of the script that asks a registry until it serves: URL, time limit in seconds. The CA is its file.
pub const ASK: &str = "kindreg-ask-registry";
/// Asks from the cluster's network, as nodes do: the client need not share a machine with the engine. 401 is an answer
/// too.
const ASK_SCRIPT: &str = r#"set -u; end=$(($(date +%s) + $2)); said=
while [ "$(date +%s)" -le "$end" ]; do
  said=$(curl -sS --noproxy '*' --cacert /kindreg/file --max-time 5 -o /dev/null -w '%{http_code}' "$1" 2>&1)
  case $said in 200 | 401) exit 0 ;; esac
  sleep 0.1
done
echo "$said"; exit 1"#;

/// How long one container asks: it goes on by itself where kindreg is killed.
const SLICE: Duration = Duration::from_secs(15);

/// How often it is looked whether a container still runs while its registry is asked.
const PACE: Duration = Duration::from_millis(50);

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
    /// The cluster.
    pub spec: Spec,
    /// The registry.
    pub registry: Managed,
}

impl Service {
    fn explain(&self, cause: DockerError) -> anyhow::Error {
        let port = self.registry.registry().port;
        if !matches!(cause, DockerError::PortTaken { .. }) {
            return cause.into();
        }
        anyhow::Error::from(PortTaken { port, cause }).context(Problem::new(
            format!("port {port} of the engine's host is in use"),
            format!(
                "choose another one with --port, let kindreg find one with --port auto, or see who has it: \
                 docker ps --filter publish={port}, ss -ltnp 'sport = :{port}'"
            ),
        ))
    }

    /// Waits until one of the containers no longer runs.
    async fn ended(&self, ctx: &Ctx) -> Result<State> {
        loop {
            let state = self.check(ctx).await?;
            if state != State::Ready {
                return Ok(state);
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Asks the registry until it answers over TLS that its own CA vouches for.
    async fn ask(&self, ctx: &Ctx) -> Result<()> {
        let registry = self.registry.registry();
        let layout = Layout::of(&self.spec.cluster);
        let ca = ca(&*ctx.docker, &self.spec.cluster, registry).await?;
        let url = format!("{}{}", registry.url(), self.registry.ready_path());
        let ca = ca.context("the registry has no certificate yet")?;
        let begun = Instant::now();
        let asked = loop {
            let rest = ctx.patience.saturating_sub(begun.elapsed());
            let limit = rest.min(SLICE).as_secs().to_string();
            let script = Script {
                doing: "asking the registry whether it serves",
                container: layout.asker(&registry.name),
                mount: None,
                network: Some(layout.network()),
                text: ASK_SCRIPT,
                arguments: &[ASK, &url, &limit],
                file: Some(ca.clone()),
            };
            match script.run(ctx, &self.spec).await {
                Err(error) if error.is::<ScriptFailed>() && rest > SLICE => {}
                ended => break ended,
            }
        };
        asked.with_context(|| {
            let logs = format!("docker logs {}", self.registry.container_name());
            Problem::new(
                format!(
                    "registry {} runs and does not answer over TLS",
                    registry.domain()
                ),
                format!("see its log: {logs}, which `up --keep-on-failure` leaves there"),
            )
        })
    }
}

#[async_trait]
impl Step for Service {
    fn id(&self) -> StepId {
        StepId::of("registry.service", &self.registry.registry().name)
    }

    fn title(&self) -> String {
        let registry = self.registry.registry();
        format!("registry {} ({})", registry.name, registry.domain())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let layout = Layout::of(&self.spec.cluster);
        for container in self.registry.containers()? {
            let found = our_container(&*ctx.docker, &layout, &container.name).await?;
            match found.map(|container| container.state) {
                None | Some(ContainerState::Created) => return Ok(State::Missing),
                Some(ContainerState::Running) => {}
                Some(ContainerState::Exited { code }) => {
                    return Ok(State::Drifted(format!("it stopped with exit code {code}")));
                }
                Some(ContainerState::Other(state)) => {
                    return Ok(State::Drifted(format!("it is {state}")));
                }
            }
        }
        Ok(State::Ready)
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        for container in self.registry.containers()? {
            if let Err(error) = ctx.docker.start(&container.name).await {
                // Docker 29 takes a container whose start failed off its networks, and starts it without them later.
                // Its data are on volumes; the next run makes it anew.
                ctx.docker.remove(&container.name).await?;
                return Err(self.explain(error));
            }
        }
        let ask = ctx.stopped_by(ctx.stop.child_token());
        let mut asking = std::pin::pin!(self.ask(&ask));
        tokio::select! {
            // An answer counts, also where the container has ended at the same moment.
            biased;
            answered = &mut asking => answered,
            ended = self.ended(ctx) => {
                ended?;
                // The script's container goes too, whatever it came to.
                ask.stop.cancel();
                let _ = asking.await;
                let log = ctx.docker.logs(&self.registry.container_name(), 20).await?;
                Err(anyhow!("registry log: {}", log.trim()).context(self.registry.explain_end()))
            }
        }
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        // It has nothing to save, and a container that ran once is not `Created` again.
        for container in self.registry.containers()?.into_iter().rev() {
            ctx.docker.remove(&container.name).await?;
        }
        Ok(())
    }
}
