//! The `ConfigMap` by which tools learn of the registry (KEP-1755).

use anyhow::Result;
use async_trait::async_trait;

use crate::kube::KubeError;
use crate::layout;
use crate::render;
use crate::spec::{ClusterName, Registry};
use crate::step::{Ctx, State, Step};

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
        Ok(ctx
            .kube
            .put(
                "/api/v1/namespaces/kube-public/configmaps",
                &render::hosting(&self.registry)?,
            )
            .await?)
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        match ctx.kube.delete(layout::HOSTING).await {
            // Without a cluster there is none.
            Ok(()) | Err(KubeError::Unreachable(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
