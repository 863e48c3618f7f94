//! The proof of a registry that somebody else runs: a pod on every node pulls from it, and nothing is pushed to it.
//!
//! An image that `proof` names is pulled and never run. Without one, an image is asked for that is not there: the
//! registry's own "not found" comes after TLS and, in most registries, after user and password.

use anyhow::Result;
use async_trait::async_trait;

use super::pods::Pods;
use super::verdict::refusal;
use super::{Proving, proven, write_notes};
use crate::observe::{REFUSED, nodes, refused, subject};
use crate::spec::{External, Registry, Spec};
use crate::step::{Ctx, State, Step, StepId};
use crate::symptoms::catalogue::node::{CONNECTION_REFUSED, NO_SUCH_HOST, TIMED_OUT};
use crate::symptoms::catalogue::registry::NO_CREDENTIALS;
use crate::symptoms::credentials::{Trouble, diagnose};
use crate::symptoms::{Meaning, shows};
use crate::verdict::{Verdict, Verdicts};

/// The proof on all nodes.
#[derive(Debug)]
pub struct ExternalProof {
    /// What is asked.
    pub spec: Spec,
    /// The registry that is proven.
    pub registry: Registry,
    /// Its settings.
    pub external: External,
    /// When it is made.
    pub when: Proving,
}

impl ExternalProof {
    fn pods(&self) -> Pods<'_> {
        let Self { spec, registry, .. } = self;
        Pods { spec, registry }
    }

    /// The image that pods ask for, by each of the registry's names.
    fn images(&self) -> Vec<String> {
        crate::render::external_proof_images(&self.spec, &self.registry, &self.external)
    }

    /// What to do about a refusal.
    fn remedy(&self, cause: &str) -> String {
        let (domain, cluster) = (self.registry.domain(), self.spec.cluster.as_str());
        let named = self.external.proof.is_some();
        let no_password = NO_CREDENTIALS.is_in(cause);
        if !named && !no_password && shows(cause, Meaning::Denied) {
            return "it refuses images that are not there like those that it keeps from this user; name one for the \
                    proof that is there: proof = \"team/base:1\" in kindreg.toml"
                .to_owned();
        }
        match diagnose(cause) {
            Some(trouble @ (Trouble::None | Trouble::Wrong)) => format!(
                "{}; give others: docker login {domain}, or the variables that kindreg.toml names; then: kindreg up \
                 --name {cluster}",
                trouble.cause()
            ),
            Some(trouble) => format!("{}; {}", trouble.cause(), trouble.next(cluster)),
            None if shows(cause, Meaning::Untrusted) => {
                "its certificate is not by the CA that nodes trust for it, or not for this name; give its CA: \
                 ca = \"company-ca.pem\" in kindreg.toml"
                    .to_owned()
            }
            None if NO_SUCH_HOST.is_in(cause) => format!(
                "nodes don't resolve {}; give its address: address = \"10.0.0.5\" in kindreg.toml",
                self.registry.host
            ),
            None if CONNECTION_REFUSED.is_in(cause) || TIMED_OUT.is_in(cause) => format!(
                "nothing answers there; see whether the address and port {} are right: docker exec \
                 {cluster}-control-plane curl -skI {}/v2/",
                self.registry.port,
                self.registry.url()
            ),
            None if shows(cause, Meaning::NotFound) => {
                "the image that `proof` names is not there; name one that is".to_owned()
            }
            None => format!(
                "see the node's own words: docker exec {cluster}-control-plane journalctl -u containerd | tail"
            ),
        }
    }

    /// That of the credentials, where it was about them.
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
        self.pods().remove(ctx).await?;
        let verdicts = verdicts?;
        let refusal = refusal(&self.registry, &verdicts, |cause| self.remedy(cause));
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
            // What `verify` proved stays proven.
            return Ok(());
        }
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?;
        // That outlives a roll-back, or the next run would try the same again.
        if refused(&*ctx.docker, &found, &self.registry).await? {
            return Ok(());
        }
        write_notes(ctx, &self.spec, &self.registry, "").await
    }
}
