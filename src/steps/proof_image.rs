//! The image of the proof: generated, pushed through the engine, and gone again once the proof is done. One can't push
//! to a cache, so there it is put into the store.
//!
//! Its layer is unique, so that no cache can answer for the registry.

use anyhow::{Context, Result};
use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::one_shot::Script;
use super::{nodes, proof, stored};
use crate::credentials::RegistryCredentials;
use crate::docker::{ContainerState, DockerError, Mount, MountSource};
use crate::layout::{self, Layout};
use crate::nonce::nonce;
use crate::oci::proof::{Architecture, ProofImage as ProofArchive, proof_image};
use crate::problem::Problem;
use crate::registry::distribution;
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, State, Step};
use crate::symptoms::catalogue::node::CONNECTION_REFUSED;
use crate::symptoms::credentials::diagnose;

/// Repository of the proof in the registry.
const REPOSITORY: &str = "kindreg/proof";

/// Name of the script that removes the proof's image from a cache's store: folder.
pub const REMOVE_PROOF: &str = "kindreg-remove-proof";
/// distribution lets nobody delete from a cache. What else of the repository is there is the cache's, which has it again.
const REMOVE_SCRIPT: &str = r#"set -eu; cd "$1/docker/registry/v2" || exit 0
of=repositories/kindreg/proof
for link in "$of"/_layers/sha256/* "$of"/_manifests/revisions/sha256/*; do
  digest=${link##*/}; rm -rf "blobs/sha256/$(printf %.2s "$digest")/$digest"
done
rm -rf "$of"; rmdir repositories/kindreg 2>/dev/null || true"#;

/// The proof's image, in the registry.
#[derive(Debug)]
pub struct ProofImage {
    /// What is asked.
    pub spec: Spec,
    /// The registry that is proven.
    pub registry: Registry,
}

impl ProofImage {
    /// The image after its domain, where it is pushed. The tag follows from the cluster, so that what a killed run has
    /// left in the engine is found.
    fn tagged(&self) -> String {
        format!("{REPOSITORY}:{}", self.spec.cluster)
    }

    /// The reference under which the engine pushes: localhost, which needs no resolver entry.
    fn pushed_as(&self) -> String {
        format!("{}/{}", self.registry.local_domain(), self.tagged())
    }

    async fn is_there_as(&self, ctx: &Ctx, name: String) {
        let registry = self.registry.name.clone();
        ctx.proof_images.lock().await.insert(registry, name);
    }

    /// Into a cache's store. By its digest, as a cache asks for tags on the far side first.
    async fn put_into_store(&self, ctx: &Ctx, image: ProofArchive) -> Result<()> {
        let (archive, digest) = distribution::in_store(&self.registry, REPOSITORY, &image.stored());
        let archive = archive.into_bytes()?;
        self.is_there_as(ctx, format!("{REPOSITORY}@{digest}"))
            .await;
        let container = Layout::of(&self.spec.cluster).registry(&self.registry.name);
        Ok(ctx.docker.upload(&container, "/", archive).await?)
    }

    /// Removes the proof's image from a cache's store, and what killed runs left there.
    async fn remove_from_store(&self, ctx: &Ctx) -> Result<()> {
        let layout = Layout::of(&self.spec.cluster);
        let volume = layout.data_volume(&self.registry.name);
        if ctx.docker.volume(&volume).await?.is_none() {
            return Ok(());
        }
        let script = Script {
            doing: "removing the proof's image from the cache",
            container: layout.proof_remover(&self.registry.name),
            mount: Mount {
                source: MountSource::Volume(volume),
                target: layout::DATA.to_owned(),
            },
            text: REMOVE_SCRIPT,
            arguments: &[REMOVE_PROOF, &distribution::store(&self.registry)],
            file: None,
        };
        script.run(ctx, &self.spec).await
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
        let ca = format!("{}/{}/ca.crt", layout::NODE_CERTS, registry.domain());
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
        let verb = if self.registry.takes_pushes() {
            "push of a proof image to"
        } else {
            "proof image in the store of"
        };
        format!("{verb} {}", self.registry.local_domain())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        if ctx
            .proof_images
            .lock()
            .await
            .contains_key(&self.registry.name)
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
        let nonce = nonce().context("no random numbers are available")?;
        let image = proof_image(architecture, &reference, nonce.as_bytes())?;
        if !self.registry.takes_pushes() {
            return self.put_into_store(ctx, image).await;
        }
        // One that a killed run left would lose its name to this one, and stay.
        ctx.docker.remove_image(&reference).await?;
        self.is_there_as(ctx, self.tagged()).await;
        ctx.docker.load(image.archive).await?;
        let user = self.user(ctx).await?;
        let pushed = ctx.docker.push(&reference, user.as_ref()).await;
        pushed.map_err(|error| {
            let cluster = &self.spec.cluster;
            let cause = error.to_string();
            let hint = match diagnose(&cause) {
                Some(trouble) => format!("{}; {}", trouble.cause(), trouble.next(cluster.as_str())),
                None if CONNECTION_REFUSED.is_in(&cause) => {
                    format!("if the registry is stopped, this starts it again: kindreg up --name {cluster}")
                }
                None => format!(
                    "see the registry's log: docker logs {}; a proxy of the engine must leave out localhost \
                     (docker info | grep -i proxy)",
                    Layout::of(cluster).registry(&self.registry.name),
                ),
            };
            let what = format!("the engine can't push to {}", self.registry.local_domain());
            anyhow::Error::from(error).context(Problem::not_ready(what, hint))
        })
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        ctx.docker.remove_image(&self.pushed_as()).await?;
        let made = ctx.proof_images.lock().await.remove(&self.registry.name);
        match made {
            None => Ok(()),
            Some(_) if self.registry.takes_pushes() => self.remove_from_registry(ctx).await,
            Some(_) => self.remove_from_store(ctx).await,
        }
    }
}
