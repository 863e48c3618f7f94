//! What the user's kubeconfig was before: noted in the record before kind changes it, given back after kind's entries
//! are gone.

use anyhow::{Context, Result};
use async_trait::async_trait;

use crate::archive::Archive;
use crate::kubeconfig::Original;
use crate::layout::{self, Layout};
use crate::observe::below;
use crate::spec::ClusterName;
use crate::step::{Ctx, State, Step, StepId};

const FILE: &str = "kubeconfig.json";

/// The current context before `up`.
#[derive(Debug)]
pub struct OriginalKubeconfig {
    /// Whose record keeps it.
    pub cluster: ClusterName,
}

impl OriginalKubeconfig {
    fn record(&self) -> String {
        Layout::of(&self.cluster).record()
    }

    async fn read(&self, ctx: &Ctx) -> Result<Option<Original>> {
        let Some(tar) = ctx
            .docker
            .download(&self.record(), layout::ORIGINALS)
            .await?
        else {
            return Ok(None);
        };
        match below(&tar, "originals")?.get(FILE) {
            Some(text) if !text.is_empty() => serde_json::from_slice(text)
                .map(Some)
                .context("the record's note of the kubeconfig can't be read"),
            _ => Ok(None),
        }
    }

    async fn write(&self, ctx: &Ctx, text: Vec<u8>) -> Result<()> {
        let archive = Archive::new()
            .file(format!("kindreg/originals/{FILE}"), 0o644, text)
            .into_bytes()?;
        Ok(ctx.docker.upload(&self.record(), "/", archive).await?)
    }
}

#[async_trait]
impl Step for OriginalKubeconfig {
    fn id(&self) -> StepId {
        StepId::new("cluster.kubeconfig")
    }

    fn title(&self) -> String {
        "note of the kubeconfig's current context".to_owned()
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        Ok(if self.read(ctx).await?.is_some() {
            State::Ready
        } else {
            State::Missing
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        ctx.kubeconfig.check_writable()?;
        let original = serde_json::to_vec(&ctx.kubeconfig.original()?)?;
        self.write(ctx, original).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let Some(original) = self.read(ctx).await? else {
            return Ok(());
        };
        ctx.kubeconfig
            .restore(&original, &Layout::of(&self.cluster).context())?;
        // An archive can't delete; an empty note is none.
        self.write(ctx, Vec::new()).await
    }
}
