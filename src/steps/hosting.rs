//! The `ConfigMap` by which tools learn of the registry (KEP-1755).

use std::time::{Duration, Instant};

use anyhow::Result;
use async_trait::async_trait;

use crate::kube::KubeError;
use crate::layout;
use crate::render;
use crate::spec::{ClusterName, Registry};
use crate::step::{Ctx, State, Step};

const PACE: Duration = Duration::from_millis(250);
const CONFIG_MAPS: &str = "/api/v1/namespaces/kube-public/configmaps";

/// `local-registry-hosting` in `kube-public`.
#[derive(Debug)]
pub struct Hosting {
    /// The cluster.
    pub cluster: ClusterName,
    /// The registry that it names: the `ConfigMap` has room for one.
    pub registry: Registry,
}

#[async_trait]
impl Step for Hosting {
    fn title(&self) -> String {
        "ConfigMap local-registry-hosting".to_owned()
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let wanted = render::hosting(&self.registry)?;
        match ctx.kube.get(layout::HOSTING).await {
            Ok(Some(found)) if found["data"] == wanted["data"] => Ok(State::Ready),
            Ok(Some(_)) => Ok(State::Drifted("it says something else".to_owned())),
            Ok(None) | Err(KubeError::Unreachable(_)) => Ok(State::Missing),
            Err(error) => Err(error.into()),
        }
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let map = render::hosting(&self.registry)?;
        let start = Instant::now();
        loop {
            match ctx.kube.put(CONFIG_MAPS, &map).await {
                // A control plane that was started a moment ago has no API server yet.
                Err(KubeError::Unreachable(_)) if start.elapsed() < ctx.patience => {
                    ctx.pause(PACE).await?;
                }
                done => return Ok(done?),
            }
        }
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        match ctx.kube.delete(layout::HOSTING).await {
            // Without a cluster there is none.
            Ok(()) | Err(KubeError::Unreachable(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
