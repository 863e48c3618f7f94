//! Step: the finished kind cluster. It waits until kind ends, and marks the control plane as created.

use anyhow::{Context, Result};
use async_trait::async_trait;

use crate::archive::Archive;
use crate::docker::Docker;
use crate::layout::{self, Layout};
use crate::observe::folder;
use crate::problem::Problem;
use crate::spec::Spec;
use crate::step::{Ctx, State, Step, StepId};

const MARKER: &str = "created";

/// The step that finishes the kind cluster.
#[derive(Debug)]
pub struct Cluster {
    /// The Spec that is wanted.
    pub spec: Spec,
}

/// Returns whether cluster creation finished.
pub async fn created(ctx: &Ctx, spec: &Spec) -> Result<bool> {
    let control_plane = Layout::of(&spec.cluster).control_plane();
    let state = folder(&*ctx.docker, &control_plane, layout::NODE_STATE).await?;
    let marker = state.and_then(|mut state| state.remove(MARKER));
    Ok(marker.is_some_and(|text| !text.is_empty()))
}

async fn mark(docker: &dyn Docker, spec: &Spec, text: &'static str) -> Result<()> {
    let archive = Archive::new()
        .file(format!("var/lib/kindreg/{MARKER}"), 0o644, text)
        .into_bytes()?;
    Ok(docker
        .upload(&Layout::of(&spec.cluster).control_plane(), "/", archive)
        .await?)
}

#[async_trait]
impl Step for Cluster {
    fn id(&self) -> StepId {
        StepId::new("cluster.created")
    }

    fn title(&self) -> String {
        format!("kind cluster {}", self.spec.cluster)
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        Ok(if created(ctx, &self.spec).await? {
            State::Ready
        } else {
            State::Missing
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let mut slot = ctx.creation.lock().await;
        let creation = slot.as_mut().context("no running `kind create cluster`")?;
        let ended =
            tokio::time::timeout(ctx.patience, ctx.unless_stopped(creation.finished())).await;
        let Ok(ended) = ended else {
            return Err(Problem::new(
                format!("timed out after {} s waiting for kind to finish", ctx.patience.as_secs()),
                format!(
                    "wait longer with --timeout, or run: kindreg up --name {0} --keep-on-failure; kind export \
                     logs --name {0}",
                    self.spec.cluster
                ),
            )
            .into());
        };
        ended?.with_context(|| format!("can't create kind cluster {}", self.spec.cluster))?;
        *slot = None;
        mark(&*ctx.docker, &self.spec, env!("CARGO_PKG_VERSION")).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        ctx.end_creation().await;
        let control_plane = Layout::of(&self.spec.cluster).control_plane();
        if ctx.docker.container(&control_plane).await?.is_some() {
            mark(&*ctx.docker, &self.spec, "").await?;
        }
        Ok(())
    }
}
