//! A registry's container, made and not started: its certificate comes first.

use anyhow::Result;
use async_trait::async_trait;

use super::our_container;
use crate::layout::{self, Layout};
use crate::registry::distribution;
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, State, Step};

/// The container of one registry. Its data are on volumes, so replacing it loses nothing.
#[derive(Debug)]
pub struct RegistryContainer {
    /// What is asked.
    pub spec: Spec,
    /// The registry.
    pub registry: Registry,
}

impl RegistryContainer {
    fn name(&self) -> String {
        Layout::of(&self.spec.cluster).registry(&self.registry.name)
    }
}

#[async_trait]
impl Step for RegistryContainer {
    fn title(&self) -> String {
        format!("container {}", self.name())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let layout = Layout::of(&self.spec.cluster);
        let Some(found) = our_container(&*ctx.docker, &layout, &self.name()).await? else {
            return Ok(State::Missing);
        };
        let wanted = distribution::container(&self.spec, &self.registry);
        Ok(
            if found.labels.get(layout::LABEL_SPEC) != wanted.labels.get(layout::LABEL_SPEC) {
                State::Drifted("it was made with other settings".to_owned())
            } else if !found.networks.contains_key(&layout.network()) {
                State::Drifted(format!("it is not on network {}", layout.network()))
            } else {
                State::Ready
            },
        )
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        ctx.docker.remove(&self.name()).await?;
        ctx.docker
            .create(&distribution::container(&self.spec, &self.registry))
            .await?;
        Ok(())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        Ok(ctx.docker.remove(&self.name()).await?)
    }
}
