//! Step: a registry's containers, created with the right settings on the cluster's network. The service step starts
//! them.

use anyhow::Result;
use async_trait::async_trait;

use crate::docker::{Container, ContainerSpec, ContainerState, NetworkMode, PublishedPort};
use crate::layout::{LABEL_SPEC, Layout};
use crate::observe::our_container;
use crate::registry::Managed;
use crate::step::{Ctx, State, Step, StepId};

/// The step that creates the containers of one registry.
#[derive(Debug)]
pub struct RegistryContainers {
    /// The registry.
    pub registry: Managed,
}

impl RegistryContainers {
    fn layout(&self) -> Layout {
        Layout::of(self.registry.cluster())
    }
}

/// Returns what a container lacks to be reached by nodes and by the engine's host; `None` if it has all.
fn unreachable(wanted: &ContainerSpec, found: &Container, network: &str) -> Option<String> {
    let Some(aliases) = found.networks.get(network) else {
        return Some(format!("not on network {network}"));
    };
    if let NetworkMode::Named { aliases: named, .. } = &wanted.network
        && let Some(lost) = named.iter().find(|name| !aliases.contains(name))
    {
        return Some(format!("without the name {lost} on network {network}"));
    }
    // The engine reports ports only of a container that runs.
    let is_closed = |port: &&PublishedPort| {
        found.state == ContainerState::Running && !found.ports.contains(port)
    };
    let closed = wanted.ports.iter().find(is_closed)?;
    Some(format!(
        "port {}:{} is not published",
        closed.address, closed.host
    ))
}

#[async_trait]
impl Step for RegistryContainers {
    fn id(&self) -> StepId {
        StepId::of("registry.container", &self.registry.registry().name)
    }

    fn title(&self) -> String {
        format!("container {}", self.registry.container_name())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let layout = self.layout();
        let mut state = State::Ready;
        for wanted in self.registry.containers()? {
            let Some(found) = our_container(&*ctx.docker, &layout, &wanted.name).await? else {
                return Ok(State::Missing);
            };
            if found.labels.get(LABEL_SPEC) != wanted.labels.get(LABEL_SPEC) {
                state = State::Drifted("created with other settings".to_owned());
            } else if let Some(lacks) = unreachable(&wanted, &found, &layout.network()) {
                state = State::Drifted(lacks);
            }
        }
        Ok(state)
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        for wanted in self.registry.containers()? {
            ctx.docker.remove(&wanted.name).await?;
            ctx.docker.create(&wanted).await?;
        }
        Ok(())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        for container in self.registry.containers()?.into_iter().rev() {
            ctx.docker.remove(&container.name).await?;
        }
        Ok(())
    }
}
