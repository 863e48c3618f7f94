//! A registry's containers: made with the right settings, on the cluster's network. They need not run.

use anyhow::Result;
use async_trait::async_trait;

use crate::layout::{LABEL_SPEC, Layout};
use crate::observe::our_container;
use crate::registry::Managed;
use crate::step::{Ctx, State, Step, StepId};

/// The containers of one registry.
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
                state = State::Drifted("it was made with other settings".to_owned());
            } else if !found.networks.contains_key(&layout.network()) {
                state = State::Drifted(format!("it is not on network {}", layout.network()));
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
