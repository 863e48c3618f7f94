//! Step: the proof of an external registry. A pod on every node pulls from it; nothing is pushed to it.
//!
//! The image that `proof` names is pulled and never run. Without one, the pod asks for an image that does not exist:
//! the registry's "not found" comes after TLS and, in most registries, after the login.

use anyhow::Result;
use async_trait::async_trait;
use time::OffsetDateTime;

use super::doubts::doubted;
use super::pods::Pods;
use super::verdict::{POD_IS_AWAY, refusal};
use super::{Proving, proven, write_notes};
use crate::observe::{REFUSED, nodes, refused, subject};
use crate::spec::{External, Registry, Spec};
use crate::step::{Ctx, State, Step, StepId};
use crate::symptoms::catalogue::node::{CONNECTION_REFUSED, NO_SUCH_HOST, TIMED_OUT};
use crate::symptoms::catalogue::registry::NO_CREDENTIALS;
use crate::symptoms::credentials::{Trouble, diagnose};
use crate::symptoms::{Meaning, shows, wrong_clock};
use crate::verdict::{Verdict, Verdicts};

/// The step that proves one external registry on all nodes.
#[derive(Debug)]
pub struct ExternalProof {
    /// The Spec that is wanted.
    pub spec: Spec,
    /// The registry to prove.
    pub registry: Registry,
    /// The registry's settings.
    pub external: External,
    /// When the proof is made.
    pub when: Proving,
}

impl ExternalProof {
    fn pods(&self) -> Pods<'_> {
        let Self { spec, registry, .. } = self;
        Pods { spec, registry }
    }

    /// Returns the references that pods pull, one for each name of the registry.
    fn images(&self) -> Vec<String> {
        crate::render::external_proof_images(&self.spec, &self.registry, &self.external)
    }

    /// Returns the hint for a refusal.
    fn remedy(&self, cause: &str) -> String {
        let (domain, cluster) = (self.registry.domain(), self.spec.cluster.as_str());
        let named = self.external.proof.is_some();
        let no_password = NO_CREDENTIALS.is_in(cause);
        if !named && !no_password && shows(cause, Meaning::Denied) {
            return "name an image that exists and that this user may pull, in kindreg.toml: proof = \"team/base:1\"; \
                    this registry denies access to images that do not exist"
                .to_owned();
        }
        if let Some(clock) = wrong_clock(cause, OffsetDateTime::now_utc()) {
            return format!("{clock}; set it, then run: kindreg up --name {cluster}");
        }
        match diagnose(cause) {
            Some(trouble @ (Trouble::None | Trouble::Wrong)) => format!(
                "{}; set the variables that kindreg.toml names, or run: docker login {domain} && kindreg up --name \
                 {cluster}",
                trouble.cause()
            ),
            Some(trouble) => format!("{}; {}", trouble.cause(), trouble.next(cluster)),
            None if shows(cause, Meaning::Untrusted) => {
                "set the registry's CA in kindreg.toml: ca = \"company-ca.pem\"; its certificate must be valid for \
                 this name"
                    .to_owned()
            }
            None if cause.starts_with(POD_IS_AWAY) => {
                format!("run: kubectl --context kind-{cluster} describe nodes")
            }
            None if NO_SUCH_HOST.is_in(cause) => format!(
                "set the address of {} in kindreg.toml: address = \"10.0.0.5\"",
                self.registry.host
            ),
            None if CONNECTION_REFUSED.is_in(cause) || TIMED_OUT.is_in(cause) => format!(
                "check the address and port {} in kindreg.toml, or run: docker exec {cluster}-control-plane curl -skI \
                 {}/v2/",
                self.registry.port,
                self.registry.url()
            ),
            None if shows(cause, Meaning::NotFound) => {
                "name an image that exists, in kindreg.toml: proof = \"team/base:1\"".to_owned()
            }
            None => format!(
                "run: docker exec {cluster}-control-plane journalctl -u containerd | tail"
            ),
        }
    }

    /// Writes proof notes that say whether the registry refused the credentials.
    async fn remember(&self, ctx: &Ctx, verdicts: &Verdicts) -> Result<()> {
        let whys = verdicts.values().filter_map(Verdict::why);
        let mut troubles = whys.map(diagnose);
        let of_credentials = troubles.any(|it| matches!(it, Some(Trouble::None | Trouble::Wrong)));
        let text = if of_credentials { REFUSED } else { "" };
        write_notes(ctx, &self.spec, &self.registry, text).await
    }
}

#[async_trait]
impl Step for ExternalProof {
    fn id(&self) -> StepId {
        StepId::of("proof.external", &self.registry.name)
    }

    fn title(&self) -> String {
        format!("proof of {}", self.registry.domain())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        match self.when {
            Proving::IfStale => proven(&*ctx.docker, &self.spec, &self.registry).await,
            Proving::Always => Ok(match ctx.verified(&self.registry.name).await.pulls {
                Some(_) => State::Ready,
                None => State::Missing,
            }),
        }
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let verdicts = self.pods().run(ctx, &self.images()).await;
        if !ctx.lost.is_cancelled() {
            self.pods().remove(ctx).await?;
        }
        let verdicts = doubted(ctx, &self.spec, &self.registry, verdicts?).await?;
        let refusal = refusal(&self.spec, &self.registry, &verdicts, |cause| {
            self.remedy(cause)
        });
        ctx.note_pulls(&self.registry.name, verdicts.clone()).await;
        if let Some(refusal) = refusal {
            self.remember(ctx, &verdicts).await?;
            return Err(refusal);
        }
        let subject = subject(&*ctx.docker, &self.spec, &self.registry).await?;
        let subject = subject.unwrap_or_default();
        write_notes(ctx, &self.spec, &self.registry, &subject).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        self.pods().remove(ctx).await?;
        if self.when == Proving::Always {
            // The notes of a proof by `verify` stay.
            return Ok(());
        }
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?;
        // A refusal outlives a roll-back, so that the next run does not try the same credentials again.
        if refused(&*ctx.docker, &found, &self.registry).await? {
            return Ok(());
        }
        write_notes(ctx, &self.spec, &self.registry, "").await
    }
}
