//! The image of the proof: generated, pushed through the engine, and removed once the proof is done. A registry that
//! takes no pushes gets it into its data.
//!
//! Its layer is unique, so that no cache can answer for the registry.

use anyhow::{Context, Result};
use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::{Proving, proven};
use crate::credentials::RegistryCredentials;
use crate::docker::{DockerError, Mount, MountSource};
use crate::layout::{self, Layout};
use crate::nonce::nonce;
use crate::observe::{running_nodes, stored_users};
use crate::oci::proof::{Architecture, ProofImage as ProofArchive, proof_image};
use crate::problem::Problem;
use crate::registry::{Delivery, ImageStore, Managed};
use crate::spec::{Authentication, Spec};
use crate::step::{Ctx, State, Step, StepId};
use crate::steps::host::Script;
use crate::symptoms::catalogue::node::CONNECTION_REFUSED;
use crate::symptoms::credentials::diagnose;

/// Repository of the proof in the registry.
const REPOSITORY: &str = "kindreg/proof";

/// The proof's image, in the registry.
#[derive(Debug, Clone)]
pub struct ProofImage {
    /// What is asked.
    pub spec: Spec,
    /// The registry that is proven.
    pub registry: Managed,
    /// When it is made.
    pub when: Proving,
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
        let registry = self.registry.registry().name.clone();
        ctx.proof_images.lock().await.insert(registry, name);
    }

    /// Into a cache's store. By its digest, as a cache asks for tags on the far side first.
    async fn put_into_store(
        &self,
        ctx: &Ctx,
        store: &dyn ImageStore,
        image: ProofArchive,
    ) -> Result<()> {
        let (archive, digest) = store.archive(REPOSITORY, &image.stored());
        let archive = archive.into_bytes()?;
        self.is_there_as(ctx, format!("{REPOSITORY}@{digest}"))
            .await;
        let container = self.registry.container_name();
        Ok(ctx.docker.upload(&container, "/", archive).await?)
    }

    /// Removes the proof's image from a cache's store, and what killed runs left there.
    async fn remove_from_store(&self, ctx: &Ctx, store: &dyn ImageStore) -> Result<()> {
        let layout = Layout::of(&self.spec.cluster);
        let name = &self.registry.registry().name;
        let volume = layout.data_volume(name);
        if ctx.docker.volume(&volume).await?.is_none() {
            return Ok(());
        }
        let (script, text) = store.removal();
        let script = Script {
            doing: "removing the proof's image from the registry's data",
            container: layout.proof_remover(name),
            mount: Some(Mount {
                source: MountSource::Volume(volume),
                target: layout::DATA.to_owned(),
            }),
            network: None,
            text,
            arguments: &[script, &store.folder()],
            file: None,
        };
        script.run(ctx, &self.spec).await
    }

    /// The registry's user in use; `None` where it asks for none, or is not there any more.
    async fn user(&self, ctx: &Ctx) -> Result<Option<RegistryCredentials>> {
        let registry = self.registry.registry();
        if registry.authentication() == Authentication::Anonymous {
            return Ok(None);
        }
        let stored = stored_users(&*ctx.docker, &self.spec.cluster, registry).await?;
        Ok(stored.map(|stored| stored.current))
    }

    /// Removes the proof's image from the registry: by its digest, through a node, the one place that surely reaches it.
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
            // What stays of it is some hundred bytes; the run is no worse for it.
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
        if ctx.proof_images.lock().await.contains_key(&registry.name) {
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
        let image = proof_image(architecture, &reference, nonce()?.as_bytes())?;
        match self.registry.delivery() {
            Delivery::Push => {}
            Delivery::Store(store) => return self.put_into_store(ctx, store, image).await,
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
                    self.registry.container_name(),
                ),
            };
            let what = format!("the engine can't push to {}", self.registry.local_domain());
            anyhow::Error::from(error).context(Problem::not_ready(what, hint))
        })
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
