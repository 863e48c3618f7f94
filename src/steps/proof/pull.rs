//! Step: the proof of a registry that kindreg runs. A pod on every node pulls a new image by every name, and runs it.

use anyhow::{Context, Result};
use async_trait::async_trait;
use time::OffsetDateTime;

use super::doubts::doubted;
use super::image::ProofImage;
use super::pods::Pods;
use super::verdict::{POD_IS_AWAY, STOPPED, refusal};
use super::{Proving, proven, write_notes};
use crate::observe::subject;
use crate::problem::Problem;
use crate::registry::Managed;
use crate::spec::Spec;
use crate::step::{Ctx, ProofImageIn, Skipped, State, Step, StepId};
use crate::symptoms::catalogue::node::{CONNECTION_REFUSED, NO_SUCH_HOST};
use crate::symptoms::credentials::diagnose;
use crate::symptoms::{Meaning, shows, wrong_clock};

/// The step that proves one registry on all nodes.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The Spec that is wanted.
    pub spec: Spec,
    /// The registry to prove.
    pub registry: Managed,
    /// When the proof is made.
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

    /// Returns the references of the proof image, one for each domain. It makes the image if there is none: its step
    /// was Ready, and then a lane beside it repaired a node, which makes the node's proof invalid.
    pub(super) async fn images(&self, ctx: &Ctx, domains: &[String]) -> Result<Vec<String>> {
        let name = &self.registry.registry().name;
        let made = async || ctx.proof_images.lock().await.get(name).cloned();
        let image = match (made().await, self.when) {
            (Some(ProofImageIn::Named(image)), _) => image,
            // Without the image no node can pull it, whatever it trusts.
            (Some(ProofImageIn::Unsure) | None, Proving::Always) => return Err(Skipped.into()),
            (Some(ProofImageIn::Unsure) | None, Proving::IfStale) => {
                self.image().apply(ctx).await?;
                match made().await {
                    Some(ProofImageIn::Named(image)) => image,
                    Some(ProofImageIn::Unsure) | None => return Err(Skipped.into()),
                }
            }
        };
        Ok(domains
            .iter()
            .map(|domain| format!("{domain}/{image}"))
            .collect())
    }

    /// Removes the pods and the image of the proof.
    async fn clear(&self, ctx: &Ctx) -> Result<()> {
        let (image, pods) = (self.image(), self.pods());
        tokio::try_join!(pods.remove(ctx), image.undo(ctx))?;
        Ok(())
    }
}

/// Returns the hint for a refusal. `up` starts stopped nodes and registries, and repairs trust and networks.
fn remedy(cause: &str, spec: &Spec) -> String {
    let repaired_by_up = cause == STOPPED
        || shows(cause, Meaning::Untrusted)
        || shows(cause, Meaning::NotFound)
        || NO_SUCH_HOST.is_in(cause)
        || CONNECTION_REFUSED.is_in(cause);
    if let Some(clock) = wrong_clock(cause, OffsetDateTime::now_utc()) {
        format!(
            "{clock}; set it, then run: kindreg verify --name {}",
            spec.cluster
        )
    } else if let Some(trouble) = diagnose(cause) {
        format!(
            "{}; {}",
            trouble.cause(),
            trouble.next(spec.cluster.as_str())
        )
    } else if cause.starts_with(POD_IS_AWAY) {
        format!(
            "run: kubectl --context kind-{} describe nodes",
            spec.cluster
        )
    } else if repaired_by_up {
        format!("run: kindreg up --name {}", spec.cluster)
    } else {
        format!(
            "run: docker exec {}-control-plane journalctl -u containerd | tail",
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
        // What is read in the nodes does not depend on pods and image.
        let clear = async {
            if ctx.lost.is_cancelled() {
                return Ok(());
            }
            self.clear(ctx).await
        };
        let (cleared, verdicts) = tokio::join!(clear, async {
            doubted(ctx, &self.spec, registry, verdicts?).await
        });
        cleared?;
        let verdicts = verdicts?;
        let refusal = refusal(&self.spec, registry, &verdicts, |cause| {
            remedy(cause, &self.spec)
        });
        ctx.note_pulls(&registry.name, verdicts).await;
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let subject = subject(&*ctx.docker, &self.spec, registry).await?;
        let subject = subject.with_context(|| {
            Problem::new(
                "the registry was removed during the proof",
                format!("run: kindreg up --name {}", self.spec.cluster),
            )
        })?;
        write_notes(ctx, &self.spec, registry, &subject).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        self.clear(ctx).await?;
        match self.when {
            Proving::IfStale => write_notes(ctx, &self.spec, self.registry.registry(), "").await,
            // The notes of a proof by `verify` stay.
            Proving::Always => Ok(()),
        }
    }
}
