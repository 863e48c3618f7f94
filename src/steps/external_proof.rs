//! The proof of a registry that somebody else runs: a pod on every node pulls from it, and nothing is pushed to it.
//!
//! An image that `proof` names is pulled and never run. Without one, an image is asked for that is not there: the
//! registry's own "not found" comes after TLS and, in most registries, after user and password.

use anyhow::{Error, Result};
use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::proof::{note, proven, subject, write_notes};
use super::proof_pods::Pods;
use super::verdict::{Verdict, Verdicts, refusal};
use super::{below, nodes};
use crate::docker::Container;
use crate::layout;
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, State, Step};
use crate::symptoms::catalogue::node::{CONNECTION_REFUSED, NO_SUCH_HOST, TIMED_OUT};
use crate::symptoms::catalogue::registry::NO_CREDENTIALS;
use crate::symptoms::credentials::{Trouble, diagnose};
use crate::symptoms::{Meaning, shows};

/// What a node's note says after the registry refused its credentials: they are to be looked for anew.
const REFUSED: &str = "refused";

/// The proof on all nodes.
#[derive(Debug)]
pub struct ExternalProof {
    /// What is asked.
    pub spec: Spec,
    /// The registry that is proven.
    pub registry: Registry,
}

/// Whether the registry refused what one of these nodes has.
pub(super) async fn refused(ctx: &Ctx, found: &[Container], registry: &Registry) -> Result<bool> {
    let notes = found.iter().map(|node| async move {
        let Some(tar) = ctx.docker.download(&node.name, layout::NODE_STATE).await? else {
            return Ok(false);
        };
        let note = below(&tar, "kindreg")?.remove(&note(registry));
        anyhow::Ok(note.is_some_and(|note| note == REFUSED))
    });
    Ok(try_join_all(notes).await?.contains(&true))
}

impl ExternalProof {
    fn pods(&self) -> Pods<'_> {
        let Self { spec, registry } = self;
        Pods { spec, registry }
    }

    /// The image that pods ask for, by each of the registry's names.
    fn images(&self) -> Vec<String> {
        crate::render::external_proof_images(&self.spec, &self.registry)
    }

    /// What to do about a refusal.
    fn remedy(&self, cause: &str) -> String {
        let (domain, cluster) = (self.registry.domain(), self.spec.cluster.as_str());
        let named = self
            .registry
            .external()
            .is_some_and(|external| external.proof.is_some());
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

    /// One pod on every node: what each came to, and the failure, where one can't pull. Either is noted in the nodes.
    pub async fn examine(&self, ctx: &Ctx) -> Result<(Verdicts, Option<Error>)> {
        let verdicts = self.pods().run(ctx, &self.images()).await;
        self.pods().remove(ctx).await?;
        let verdicts = verdicts?;
        let refusal = refusal(&self.registry, &verdicts, |cause| self.remedy(cause));
        if refusal.is_some() {
            self.remember(ctx, &verdicts).await?;
        } else {
            let subject = subject(ctx, &self.spec, &self.registry).await?;
            let subject = subject.unwrap_or_default();
            write_notes(ctx, &self.spec, &self.registry, &subject).await?;
        }
        Ok((verdicts, refusal))
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
    fn title(&self) -> String {
        format!(
            "proof: a pod on every node reaches {}",
            self.registry.domain()
        )
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        proven(ctx, &self.spec, &self.registry).await
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        self.examine(ctx).await?.1.map_or(Ok(()), Err)
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        self.pods().remove(ctx).await?;
        let found = nodes(&*ctx.docker, &self.spec).await?;
        // That outlives a roll-back, or the next run would try the same again.
        if refused(ctx, &found, &self.registry).await? {
            return Ok(());
        }
        write_notes(ctx, &self.spec, &self.registry, "").await
    }
}
