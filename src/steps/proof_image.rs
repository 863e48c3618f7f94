//! The image of the proof: generated, pushed through the engine, and gone again once the proof is done.
//!
//! Its layer is unique, so that no cache can answer for the registry.

use anyhow::{Context, Result};
use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::{nodes, proof, stored};
use crate::credentials::RegistryCredentials;
use crate::docker::{ContainerState, DockerError};
use crate::doctor::credentials::diagnose;
use crate::nonce::nonce;
use crate::oci::proof::{Architecture, proof_image};
use crate::problem::Problem;
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, State, Step};

/// Repository of the proof in the registry.
const REPOSITORY: &str = "kindreg/proof";

/// The proof's image, in the registry.
#[derive(Debug)]
pub struct ProofImage {
    /// What is asked.
    pub spec: Spec,
    /// The registry that is proven.
    pub registry: Registry,
}

impl ProofImage {
    /// The image by one of the registry's names. The tag follows from the cluster, so that what a killed run has left
    /// in the engine is found.
    pub(super) fn named(&self, domain: &str) -> String {
        format!("{domain}/{REPOSITORY}:{}", self.spec.cluster)
    }

    /// The reference under which the engine pushes: localhost, which needs no resolver entry.
    fn pushed_as(&self) -> String {
        self.named(&self.registry.local_domain())
    }

    /// The registry's user in use; `None` where it asks for none, or is not there any more.
    async fn user(&self, ctx: &Ctx) -> Result<Option<RegistryCredentials>> {
        if !self.registry.asks_password() {
            return Ok(None);
        }
        let stored = stored(ctx, &self.spec.cluster, &self.registry).await?;
        Ok(stored.map(|stored| stored.current))
    }

    /// Removes the proof's image from the registry: by its digest, through a node, the one place that surely reaches it.
    async fn remove_from_registry(&self, ctx: &Ctx) -> Result<()> {
        let Self { spec, registry } = self;
        let tag = spec.cluster.as_str();
        let found = nodes(&*ctx.docker, spec).await?;
        let Some(node) = found
            .iter()
            .find(|node| node.state == ContainerState::Running)
        else {
            return Ok(());
        };
        let ca = format!("{}/{}/ca.crt", crate::layout::NODE_CERTS, registry.domain());
        let script = r#"set -eu; base=$1; tag=$2; ca=$3; options=$(cat)
ask() { printf '%s\n' "$options" | curl -sS --cacert "$ca" -K - "$@"; }
digest=$(ask -I -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
  -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
  -H 'Accept: application/vnd.oci.image.index.v1+json' "$base/manifests/$tag" |
  tr -d '\r' | sed -n 's/^docker-content-digest: *//Ip')
[ -z "$digest" ] || ask -f -X DELETE "$base/manifests/$digest""#;
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
        let user = self.user(ctx).await?;
        let options = user.map(|user| user.curl()).unwrap_or_default();
        let options = options.expose_secret().as_bytes();
        match ctx.docker.exec(&node.name, &command, options).await {
            // What stays of it is some hundred bytes; the run is no worse for it.
            Ok(_) | Err(DockerError::Gone { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl Step for ProofImage {
    fn title(&self) -> String {
        format!("push of a proof image to {}", self.registry.local_domain())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        if ctx.proof_images.lock().await.contains(&self.registry.name)
            || proof::proven(ctx, &self.spec, &self.registry).await? == State::Ready
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
        let name = self.registry.name.clone();
        ctx.proof_images.lock().await.insert(name);
        ctx.docker.load(image.archive).await?;
        let user = self.user(ctx).await?;
        let pushed = ctx.docker.push(&reference, user.as_ref()).await;
        pushed.map_err(|error| {
            let cluster = &self.spec.cluster;
            let hint = match diagnose(&error.to_string()) {
                Some(trouble) => format!("{}; {}", trouble.cause(), trouble.next(cluster.as_str())),
                None => format!(
                    "see the registry's log: docker logs {}; a proxy of the engine must leave out localhost \
                     (docker info | grep -i proxy)",
                    crate::layout::Layout::of(cluster).registry(&self.registry.name),
                ),
            };
            let what = format!("the engine can't push to {}", self.registry.local_domain());
            anyhow::Error::from(error).context(Problem::new(what, hint))
        })
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        ctx.docker.remove_image(&self.pushed_as()).await?;
        if ctx.proof_images.lock().await.remove(&self.registry.name) {
            self.remove_from_registry(ctx).await?;
        }
        Ok(())
    }
}
