//! The proof of a registry that kindreg runs: one pod on every node pulls a new image by every name, and runs it.

use anyhow::{Context, Result};
use async_trait::async_trait;

use super::image::ProofImage;
use super::pods::Pods;
use super::verdict::{STOPPED, refusal};
use super::{Proving, proven, write_notes};
use crate::observe::subject;
use crate::problem::Problem;
use crate::registry::Managed;
use crate::spec::Spec;
use crate::step::{Ctx, State, Step, StepId};
use crate::symptoms::catalogue::node::{CONNECTION_REFUSED, NO_SUCH_HOST};
use crate::symptoms::credentials::diagnose;
use crate::symptoms::{Meaning, shows};

/// The proof on all nodes.
#[derive(Debug, Clone)]
pub struct Proof {
    /// What is asked.
    pub spec: Spec,
    /// The registry that is proven.
    pub registry: Managed,
    /// When it is made.
    pub when: Proving,
}

impl Proof {
    pub(super) fn pods(&self) -> Pods<'_> {
        Pods {
            spec: &self.spec,
            registry: self.registry.registry(),
        }
    }

    fn image(&self) -> ProofImage {
        ProofImage {
            spec: self.spec.clone(),
            registry: self.registry.clone(),
            when: self.when,
        }
    }

    /// Returns the image by each of these domains. It is made where there is none: its own check came first, and then a
    /// lane beside it repaired a node, which withdraws its proof.
    pub(super) async fn images(&self, ctx: &Ctx, domains: &[String]) -> Result<Vec<String>> {
        let name = &self.registry.registry().name;
        if !ctx.proof_images.lock().await.contains_key(name) {
            match self.when {
                Proving::IfStale => self.image().apply(ctx).await?,
                Proving::Always => return Err(crate::step::Skipped.into()),
            }
        }
        let made = ctx.proof_images.lock().await;
        let image = made.get(name).context("the proof's image is gone")?;
        Ok(domains
            .iter()
            .map(|domain| format!("{domain}/{image}"))
            .collect())
    }

    /// Removes what the proof needed and nobody else does.
    async fn clear(&self, ctx: &Ctx) -> Result<()> {
        let (image, pods) = (self.image(), self.pods());
        tokio::try_join!(pods.remove(ctx), image.undo(ctx))?;
        Ok(())
    }
}

fn remedy(cause: &str, spec: &Spec) -> String {
    let up = format!("kindreg up --name {}", spec.cluster);
    if let Some(trouble) = diagnose(cause) {
        format!(
            "{}; {}",
            trouble.cause(),
            trouble.next(spec.cluster.as_str())
        )
    } else if cause == STOPPED {
        format!("this starts it again: {up}")
    } else if shows(cause, Meaning::Untrusted) || shows(cause, Meaning::NotFound) {
        format!("the node's trust is not what kindreg wrote; this repairs it: {up}")
    } else if NO_SUCH_HOST.is_in(cause) || CONNECTION_REFUSED.is_in(cause) {
        format!("the registry is not reached; this starts and connects it again: {up}")
    } else {
        format!(
            "see the node's own words: docker exec {}-control-plane journalctl -u containerd | tail",
            spec.cluster
        )
    }
}

#[async_trait]
impl Step for Proof {
    fn id(&self) -> StepId {
        StepId::of("proof.pull", &self.registry.registry().name)
    }

    fn title(&self) -> String {
        format!("proof of {}", self.registry.registry().domain())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let registry = self.registry.registry();
        match self.when {
            Proving::IfStale => proven(&*ctx.docker, &self.spec, registry).await,
            Proving::Always => Ok(match ctx.verified(&registry.name).await.pulls {
                Some(_) => State::Ready,
                None => State::Missing,
            }),
        }
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let registry = self.registry.registry();
        let images = self.images(ctx, &registry.proof_domains()).await?;
        let verdicts = self.pods().run(ctx, &images).await;
        self.clear(ctx).await?;
        let verdicts = verdicts?;
        let refusal = refusal(registry, &verdicts, |cause| remedy(cause, &self.spec));
        ctx.note_pulls(&registry.name, verdicts).await;
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let subject = subject(&*ctx.docker, &self.spec, registry).await?;
        let subject = subject.with_context(|| {
            Problem::new(
                "the registry was removed during the proof",
                "kindreg up makes it again",
            )
        })?;
        write_notes(ctx, &self.spec, registry, &subject).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        self.clear(ctx).await?;
        match self.when {
            Proving::IfStale => write_notes(ctx, &self.spec, self.registry.registry(), "").await,
            // What `verify` proved stays proven.
            Proving::Always => Ok(()),
        }
    }
}
