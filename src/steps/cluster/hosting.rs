//! Step: the `ConfigMap` that tells tools which registry to use (KEP-1755).

use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use serde_json::Value;

use crate::kube::KubeError;
use crate::layout;
use crate::registry::Managed;
use crate::render;
use crate::step::{Ctx, Polled, State, Step, StepId};

const POLL_INTERVAL: Duration = Duration::from_millis(250);
const CONFIG_MAPS: &str = "/api/v1/namespaces/kube-public/configmaps";

/// The step that writes `ConfigMap` `local-registry-hosting` in namespace `kube-public`.
#[derive(Debug)]
pub struct Hosting {
    /// The registry that the `ConfigMap` names. It has room for one.
    pub registry: Managed,
}

impl Hosting {
    fn wanted(&self) -> Result<Value, render::Broken> {
        let domain = self.registry.registry().domain();
        render::hosting(&domain, &self.registry.local_domain())
    }
}

#[async_trait]
impl Step for Hosting {
    fn id(&self) -> StepId {
        StepId::new("cluster.hosting")
    }

    fn title(&self) -> String {
        "ConfigMap local-registry-hosting".to_owned()
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let wanted = self.wanted()?;
        match ctx.kube.get(layout::HOSTING).await {
            Ok(Some(found)) if found["data"] == wanted["data"] => Ok(State::Ready),
            Ok(Some(_)) => Ok(State::Drifted("different content".to_owned())),
            Ok(None) | Err(KubeError::Unreachable(_)) => Ok(State::Missing),
            Err(error) => Err(error.into()),
        }
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let map = &self.wanted()?;
        let put = ctx.poll(POLL_INTERVAL, || async move {
            match ctx.kube.put(CONFIG_MAPS, map).await {
                // The API server of a control plane that has just started does not answer yet.
                Err(error @ KubeError::Unreachable(_)) => {
                    ctx.trace
                        .tell(|| format!("waiting for the API server: {error}"));
                    Ok(None)
                }
                done => Ok(Some(done?)),
            }
        });
        match put.await? {
            Polled::Answer(()) => Ok(()),
            // Once more, for the API server's own error.
            Polled::TimedOut => Ok(ctx.kube.put(CONFIG_MAPS, map).await?),
        }
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        match ctx.kube.delete(layout::HOSTING).await {
            // Without a cluster there is no `ConfigMap`.
            Ok(()) | Err(KubeError::Unreachable(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
