//! Step: the original state of the user's kubeconfig. It is saved in the record before kind changes the file, and
//! restored after kind has removed its entries.

use anyhow::{Context, Result};
use async_trait::async_trait;

use super::copies::{save, save_original};
use crate::kubeconfig::{Original, Restored};
use crate::layout::{self, Layout};
use crate::observe::folder;
use crate::spec::ClusterName;
use crate::step::{Ctx, State, Step, StepId};

const FILE: &str = "kubeconfig.json";

/// The step that saves and restores the current context of the kubeconfig.
#[derive(Debug)]
pub struct OriginalKubeconfig {
    /// The cluster whose record keeps it.
    pub cluster: ClusterName,
}

impl OriginalKubeconfig {
    fn record(&self) -> String {
        Layout::of(&self.cluster).record()
    }

    async fn read(&self, ctx: &Ctx) -> Result<Option<Original>> {
        let originals = folder(&*ctx.docker, &self.record(), layout::ORIGINALS).await?;
        match originals.unwrap_or_default().get(FILE) {
            Some(text) if !text.is_empty() => serde_json::from_slice(text)
                .map(Some)
                .context("can't read the record's copy of the kubeconfig context"),
            _ => Ok(None),
        }
    }
}

#[async_trait]
impl Step for OriginalKubeconfig {
    fn id(&self) -> StepId {
        StepId::new("cluster.kubeconfig")
    }

    fn title(&self) -> String {
        "original kubeconfig context".to_owned()
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
        let original = serde_json::to_string(&ctx.kubeconfig.original()?)?;
        save(ctx, &self.cluster, |record| {
            record.originals.insert(FILE.to_owned(), original);
        })
        .await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let Some(original) = self.read(ctx).await? else {
            return Ok(());
        };
        let context = Layout::of(&self.cluster).context();
        match ctx.kubeconfig.restore(&original, &context)? {
            Restored::Done => {}
            Restored::NotNamed(file) => ctx.note(format!(
                "KUBECONFIG does not name {0} any more, so context {context} stays there; remove it: kubectl \
                 --kubeconfig {0} config delete-context {context}",
                file.display()
            )),
        }
        // The archive API can't delete; an empty file counts as missing.
        save_original(ctx, &self.cluster, FILE, String::new()).await
    }
}
