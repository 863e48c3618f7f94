//! The image of the proof: generated, pushed through the engine, and gone again once the proof is done.
//!
//! Its layer is unique, so that no cache can answer for the registry.

use anyhow::{Context, Result};
use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::{nodes, proof, stored};
use crate::credentials::RegistryCredentials;
use crate::docker::{ContainerState, DockerError};
use crate::nonce::nonce;
use crate::oci::proof::{Architecture, proof_image};
use crate::problem::Problem;
use crate::registry::distribution;
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, State, Step};

/// Repository of the proof in the registry.
pub(super) const REPOSITORY: &str = "kindreg/proof";

/// The proof's image, in the registry.
#[derive(Debug)]
pub struct ProofImage {
    /// What is asked.
    pub spec: Spec,
    /// The registry that is proven.
    pub registry: Registry,
}

impl ProofImage {
    /// The tag follows from the cluster, so that what a killed run has left in the engine is found.
    fn tag(&self) -> String {
        self.spec.cluster.to_string()
    }

    /// The reference under which the engine pushes: localhost, which needs no resolver entry.
    fn pushed_as(&self) -> String {
        format!(
            "{}/{REPOSITORY}:{}",
            self.registry.local_domain(),
            self.tag()
        )
    }
}

/// The registry's user in use; `None` where it asks for none, or is not there any more.
async fn credentials(
    ctx: &Ctx,
    spec: &Spec,
    registry: &Registry,
) -> Result<Option<RegistryCredentials>> {
    if !registry.asks_password() {
        return Ok(None);
    }
    let stored = stored(ctx, &spec.cluster, registry).await?;
    Ok(stored.map(|stored| stored.current))
}

/// Removes the proof's image from the registry: by its digest, through a node, the one place that surely reaches it.
pub(super) async fn remove_from_registry(
    ctx: &Ctx,
    spec: &Spec,
    registry: &Registry,
    tag: &str,
) -> Result<()> {
    let found = nodes(&*ctx.docker, spec).await?;
    let Some(node) = found
        .iter()
        .find(|node| node.state == ContainerState::Running)
    else {
        return Ok(());
    };
    let ca = format!("{}/{}/ca.crt", crate::layout::NODE_CERTS, registry.domain());
    let script = r#"set -eu
base=$1; tag=$2; ca=$3; options=$(cat)
ask() { printf '%s\n' "$options" | curl -sS -K - "$@"; }
digest=$(ask --cacert "$ca" -I -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
  -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
  -H 'Accept: application/vnd.oci.image.index.v1+json' "$base/manifests/$tag" |
  tr -d '\r' | sed -n 's/^docker-content-digest: *//Ip')
[ -z "$digest" ] || ask -f --cacert "$ca" -X DELETE "$base/manifests/$digest""#;
    let base = format!("{}/v2/{REPOSITORY}", registry.url());
    let command = [
        "sh",
        "-c",
        script,
        "kindreg-delete-manifest",
        &base,
        tag,
        &ca,
    ];
    let user = credentials(ctx, spec, registry).await?;
    let options = user.map(|user| user.curl()).unwrap_or_default();
    let options = options.expose_secret().as_bytes();
    match ctx.docker.exec(&node.name, &command, options).await {
        // What stays of it is some hundred bytes; the run is no worse for it.
        Ok(_) | Err(DockerError::Gone { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[async_trait]
impl Step for ProofImage {
    fn title(&self) -> String {
        format!("push of a proof image to {}", self.registry.local_domain())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        if ctx.proof_image.lock().await.is_some()
            || proof::proven(ctx, &self.spec).await? == State::Ready
        {
            return Ok(State::Ready);
        }
        let left = ctx.docker.image(&self.pushed_as()).await?;
        Ok(match left {
            Some(_) => State::Drifted("a run that was killed has left one".to_owned()),
            None => State::Missing,
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let architecture: Architecture = ctx
            .docker
            .info()
            .await?
            .architecture
            .parse()
            .with_context(|| {
                Problem::new(
                    "there is no proof for this processor",
                    "run without it: kindreg up --no-verify",
                )
            })?;
        let reference = self.pushed_as();
        let image = proof_image(architecture, &reference, nonce().as_bytes())?;
        // One that a killed run left would lose its name to this one, and stay.
        ctx.docker.remove_image(&reference).await?;
        *ctx.proof_image.lock().await = Some(self.tag());
        ctx.docker.load(image.archive).await?;
        let user = credentials(ctx, &self.spec, &self.registry).await?;
        let pushed = ctx.docker.push(&reference, user.as_ref()).await;
        pushed.with_context(|| {
            Problem::new(
                format!("the engine can't push to {}", self.registry.local_domain()),
                format!(
                    "see the registry's log: docker logs {}; a proxy of the engine must leave out localhost \
                     (docker info | grep -i proxy); it listens as the environment says: {}",
                    crate::layout::Layout::of(&self.spec.cluster).registry(&self.registry.name),
                    distribution::ADDRESS,
                ),
            )
        })
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        ctx.docker.remove_image(&self.pushed_as()).await?;
        let Some(tag) = ctx.proof_image.lock().await.take() else {
            return Ok(());
        };
        remove_from_registry(ctx, &self.spec, &self.registry, &tag).await
    }
}
