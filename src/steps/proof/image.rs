//! Step: the image of the proof. It is generated, pushed by the engine, and removed after the proof. For a registry
//! that takes no pushes it is written into the registry's data.
//!
//! Its layer is unique, so that no cache can answer for the registry.

use anyhow::{Context, Result};
use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::{Proving, proven};
use crate::credentials::RegistryCredentials;
use crate::docker::{DockerError, Mount, MountSource, NetworkMode};
use crate::layout::{self, Layout};
use crate::nonce::nonce;
use crate::observe::{obstacle, running_nodes, stored_users};
use crate::oci::proof::{Architecture, ProofImage as ProofArchive, proof_image};
use crate::problem::Problem;
use crate::registry::{Delivery, ImageStore, Managed};
use crate::spec::{Authentication, HostTrust, Spec};
use crate::step::{Ctx, ProofImageIn, State, Step, StepId};
use crate::steps::host::Script;
use crate::steps::registry::is_at_its_port;
use crate::symptoms::catalogue::node::CONNECTION_REFUSED;
use crate::symptoms::credentials::diagnose;
use crate::symptoms::{Meaning, shows};

/// The repository of the proof image in the registry.
const REPOSITORY: &str = "kindreg/proof";

/// The step that puts the proof image into one registry.
#[derive(Debug, Clone)]
pub struct ProofImage {
    /// The Spec that is wanted.
    pub spec: Spec,
    /// The registry to prove.
    pub registry: Managed,
    /// When the image is made.
    pub when: Proving,
}

impl ProofImage {
    /// Returns the name of a pushed image without its domain. The tag is the cluster's name, so that the next run finds
    /// an image that a killed run left in the engine.
    pub(super) fn tagged(&self) -> String {
        format!("{REPOSITORY}:{}", self.spec.cluster)
    }

    /// Returns the reference that the engine pushes to. It is on localhost, which needs no DNS or hosts entry.
    pub(super) fn pushed_as(&self) -> String {
        format!("{}/{}", self.registry.local_domain(), self.tagged())
    }

    /// Returns the processor that the image must be for.
    pub(super) async fn architecture(&self, ctx: &Ctx) -> Result<Architecture> {
        let info = ctx.docker.info().await?;
        info.architecture.parse().with_context(|| {
            Problem::new(
                "the proof does not support this processor",
                format!("run: kindreg up --name {} --no-verify", self.spec.cluster),
            )
        })
    }

    /// Returns the hint for an engine that does not trust the registry.
    async fn distrust(&self, ctx: &Ctx) -> Result<String> {
        let (cluster, domain) = (&self.spec.cluster, self.registry.local_domain());
        let info = ctx.docker.info().await?;
        let found = obstacle(&*ctx.docker, &info, cluster, self.registry.registry()).await?;
        Ok(match (found, self.spec.host_trust) {
            (_, HostTrust::Leave) => format!(
                "the engine verifies {domain} and does not have the CA; run: kindreg up --name {cluster} \
                 --no-host-trust=false"
            ),
            (Some(path), HostTrust::Install) => format!(
                "docker obeys {path} on the engine's host, which is not kindreg's; remove it there, then run: kindreg \
                 up --name {cluster}"
            ),
            (None, HostTrust::Install) => format!("run: kindreg up --name {cluster}"),
        })
    }

    async fn note(&self, ctx: &Ctx, image: ProofImageIn) {
        let registry = self.registry.registry().name.clone();
        ctx.proof_images.lock().await.insert(registry, image);
    }

    /// Writes the image into a cache's store. Nodes pull it by digest, because a cache asks its upstream for tags.
    async fn put_into_store(
        &self,
        ctx: &Ctx,
        store: &dyn ImageStore,
        image: ProofArchive,
    ) -> Result<()> {
        let (archive, digest) = store.archive(REPOSITORY, &image.stored());
        let archive = archive.into_bytes()?;
        self.note(ctx, ProofImageIn::Unsure).await;
        let container = self.registry.container_name();
        ctx.docker.upload(&container, "/", archive).await?;
        let name = ProofImageIn::Named(format!("{REPOSITORY}@{digest}"));
        self.note(ctx, name).await;
        Ok(())
    }

    /// Removes the proof image from a cache's store, and those that killed runs left there.
    async fn remove_from_store(&self, ctx: &Ctx, store: &dyn ImageStore) -> Result<()> {
        let layout = Layout::of(&self.spec.cluster);
        let name = &self.registry.registry().name;
        let volume = layout.data_volume(name);
        if ctx.docker.volume(&volume).await?.is_none() {
            return Ok(());
        }
        let (script, text) = store.removal();
        let script = Script {
            doing: "removing the proof image from the registry's data",
            container: layout.proof_remover(name),
            mount: Some(Mount {
                source: MountSource::Volume(volume),
                target: layout::DATA.to_owned(),
            }),
            network: NetworkMode::None,
            text,
            arguments: &[script, &store.folder()],
            files: Vec::new(),
        };
        script.run(ctx, &self.spec).await
    }

    /// Returns the registry's current user; `None` if it needs none, or if the registry no longer exists.
    async fn user(&self, ctx: &Ctx) -> Result<Option<RegistryCredentials>> {
        let registry = self.registry.registry();
        if registry.authentication() == Authentication::Anonymous {
            return Ok(None);
        }
        let stored = stored_users(&*ctx.docker, &self.spec.cluster, registry).await?;
        Ok(stored.map(|stored| stored.current))
    }

    /// Removes the proof image from the registry, by digest. A node sends the request, because nodes can reach the
    /// registry in every setup.
    async fn remove_from_registry(&self, ctx: &Ctx) -> Result<()> {
        let registry = self.registry.registry();
        let tag = self.spec.cluster.as_str();
        let found = running_nodes(&*ctx.docker, &self.spec.cluster).await?;
        let Some(node) = found.first() else {
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
            // A failed delete leaves a few hundred bytes, which is no reason to fail the run.
            Ok(_) | Err(DockerError::Missing { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl Step for ProofImage {
    fn id(&self) -> StepId {
        StepId::of("proof.image", &self.registry.registry().name)
    }

    fn title(&self) -> String {
        format!("proof image in {}", self.registry.local_domain())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let registry = self.registry.registry();
        if let Some(ProofImageIn::Named(_)) = ctx.proof_images.lock().await.get(&registry.name) {
            return Ok(State::Ready);
        }
        match self.when {
            Proving::IfStale => {
                if proven(&*ctx.docker, &self.spec, registry).await? == State::Ready {
                    return Ok(State::Ready);
                }
            }
            Proving::Always => return Ok(State::Missing),
        }
        let left = ctx.docker.image(&self.pushed_as()).await?;
        Ok(match left {
            Some(_) => State::Drifted("left by a killed run".to_owned()),
            None => State::Missing,
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let architecture = self.architecture(ctx).await?;
        let reference = self.pushed_as();
        let image = proof_image(architecture, &reference, nonce()?.as_bytes())?;
        match self.registry.delivery() {
            Delivery::Push => is_at_its_port(ctx, &self.spec, &self.registry).await?,
            Delivery::Store(store) => return self.put_into_store(ctx, store, image).await,
        }
        // Loading the new image would only untag one that a killed run left, so remove that first.
        ctx.docker.remove_image(&reference).await?;
        // Before the push: if its answer gets lost, the registry has the image and `undo` has to remove it.
        self.note(ctx, ProofImageIn::Unsure).await;
        ctx.docker.load(image.archive).await?;
        let user = self.user(ctx).await?;
        let pushed = ctx.docker.push(&reference, user.as_ref()).await;
        if let Err(error) = pushed {
            let cluster = &self.spec.cluster;
            let cause = error.to_string();
            let hint = match diagnose(&cause) {
                _ if shows(&cause, Meaning::Untrusted) => self.distrust(ctx).await?,
                Some(trouble) => format!("{}; {}", trouble.cause(), trouble.next(cluster.as_str())),
                None if CONNECTION_REFUSED.is_in(&cause) => {
                    format!("run: kindreg up --name {cluster}")
                }
                None => format!(
                    "run: docker logs {}; or exclude localhost from the engine's proxy, if it has one: docker info | \
                     grep -i proxy",
                    self.registry.container_name(),
                ),
            };
            let what = format!("can't push image {reference}");
            return Err(anyhow::Error::from(error).context(Problem::not_ready(what, hint)));
        }
        self.note(ctx, ProofImageIn::Named(self.tagged())).await;
        Ok(())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        ctx.docker.remove_image(&self.pushed_as()).await?;
        let name = &self.registry.registry().name;
        if ctx.proof_images.lock().await.remove(name).is_none() {
            return Ok(());
        }
        match self.registry.delivery() {
            Delivery::Push => self.remove_from_registry(ctx).await,
            Delivery::Store(store) => self.remove_from_store(ctx, store).await,
        }
    }
}
