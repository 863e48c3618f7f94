//! Step: the running registry. It starts the containers and waits until the registry answers over TLS with its
//! certificate.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use async_trait::async_trait;
use time::OffsetDateTime;

use crate::docker::{ContainerState, DockerError, NetworkMode};
use crate::layout::Layout;
use crate::observe::{ca, our_container};
use crate::problem::Problem;
use crate::registry::Managed;
use crate::spec::{Port, Spec};
use crate::step::{Ctx, State, Step, StepId};
use crate::steps::host::{Script, ScriptFailed};
use crate::symptoms::wrong_clock;

/// The name of the script that asks a registry until it serves. Its arguments are the URL and the time limit in
/// seconds; its file is the CA.
pub const ASK: &str = "kindreg-ask-registry";
/// The script runs on the cluster's network, as nodes do, because the client may be on another machine than the engine.
/// 401 is an answer too.
const ASK_SCRIPT: &str = r#"set -u; end=$(($(date +%s) + $2)); said=
while [ "$(date +%s)" -le "$end" ]; do
  said=$(curl -sS --noproxy '*' --cacert /kindreg/file --max-time 5 -o /dev/null -w '%{http_code}' "$1" 2>&1)
  case $said in 200 | 401) exit 0 ;; esac
  sleep 0.1
done
echo "$said"; date -u '+current time %Y-%m-%dT%H:%M:%SZ'; exit 1"#;

/// The longest time that one container asks. If kindreg is killed, the container stops asking after it.
const SLICE: Duration = Duration::from_secs(15);

/// The time that a container takes to start and to end.
const MARGIN: Duration = Duration::from_secs(2);

/// The pause between two checks whether the containers still run, while the registry is asked.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The error that a registry's port is in use on the engine's host. Its container was removed again.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct PortTaken {
    /// The port that is in use.
    pub port: Port,
    /// The engine's error.
    pub cause: DockerError,
}

/// The step that starts one registry.
#[derive(Debug)]
pub struct Service {
    /// The Spec that is wanted.
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
            format!("port {port} is in use on the engine's host"),
            format!(
                "choose another port with --port, let kindreg choose one with --port auto, or see what uses it: \
                 docker ps --filter publish={port}; ss -ltnp 'sport = :{port}'"
            ),
        ))
    }

    /// Waits until one of the containers is no longer running, and returns the registry's state.
    async fn ended(&self, ctx: &Ctx) -> Result<State> {
        loop {
            let state = self.check(ctx).await?;
            if state != State::Ready {
                return Ok(state);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Asks the registry until it answers over TLS with a certificate of its CA.
    async fn ask(&self, ctx: &Ctx) -> Result<()> {
        let registry = self.registry.registry();
        let layout = Layout::of(&self.spec.cluster);
        let ca = ca(&*ctx.docker, &self.spec.cluster, registry).await?;
        let url = format!("{}{}", registry.url(), self.registry.ready_path());
        let ca = ca.context("the registry has no certificate yet")?;
        let begun = Instant::now();
        let asked = loop {
            let rest = ctx.patience.saturating_sub(begun.elapsed());
            // A little less than the run waits for the container, so that the script's own words are heard.
            let limit = rest.min(SLICE).saturating_sub(MARGIN).as_secs().max(1);
            let limit = limit.to_string();
            let script = Script {
                doing: "waiting for the registry",
                container: layout.readiness_check(&registry.name),
                mount: None,
                network: NetworkMode::Named {
                    name: layout.network(),
                    aliases: Vec::new(),
                },
                text: ASK_SCRIPT,
                arguments: &[ASK, &url, &limit],
                files: vec![("file".to_owned(), ca.clone())],
            };
            match script.run(ctx, &self.spec).await {
                Err(error) if error.is::<ScriptFailed>() && rest > SLICE => {}
                ended => break ended,
            }
        };
        asked.map_err(|error| {
            let cluster = &self.spec.cluster;
            let logs = format!("docker logs {}", self.registry.container_name());
            let hint = match wrong_clock(&format!("{error:#}"), OffsetDateTime::now_utc()) {
                Some(clock) => format!("{clock}; set it, then run: kindreg up --name {cluster}"),
                None => format!("run: kindreg up --name {cluster} --keep-on-failure; {logs}"),
            };
            error.context(Problem::new(
                format!(
                    "registry {} is running but does not answer over TLS",
                    registry.domain()
                ),
                hint,
            ))
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
                    return Ok(State::Drifted(format!("exited with code {code}")));
                }
                Some(ContainerState::Other(state)) => {
                    return Ok(State::Drifted(format!("container is {state}")));
                }
            }
        }
        Ok(State::Ready)
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        for container in self.registry.containers()? {
            if let Err(error) = ctx.docker.start(&container.name).await {
                // Docker 29 disconnects a container whose start failed from its networks, and would start it without
                // them later. The data are on volumes, and the next run creates the container again.
                ctx.docker.remove(&container.name).await?;
                return Err(self.explain(error));
            }
        }
        let ask = ctx.stopped_by(ctx.stop.child_token());
        let mut asking = std::pin::pin!(self.ask(&ask));
        tokio::select! {
            // An answer counts even if the container ends at the same moment.
            biased;
            answered = &mut asking => answered,
            ended = self.ended(ctx) => {
                ended?;
                // Let the script stop and remove its container; its result does not matter.
                ask.stop.cancel();
                let _ = asking.await;
                let log = ctx.docker.logs(&self.registry.container_name(), 20).await?;
                Err(anyhow!("registry log: {}", log.trim()).context(self.registry.start_failure()))
            }
        }
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        // Removed and not stopped: a container that ran once never has the state `Created` again.
        for container in self.registry.containers()?.into_iter().rev() {
            ctx.docker.remove(&container.name).await?;
        }
        Ok(())
    }
}
