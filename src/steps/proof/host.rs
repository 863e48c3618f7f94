//! Step: the trust of the engine's host in `localhost:port`, with the proof that the engine verifies TLS there.
//!
//! Many engines verify nothing on loopback: <https://docs.docker.com/reference/cli/dockerd/#insecure-registries>. So
//! a push is tried before the CA is installed. The engine must refuse it, and accept the next one.

use anyhow::{Context, Result};
use async_trait::async_trait;

use super::{ProofImage, Proving};
use crate::docker::{DockerError, EngineInfo, ImageStore};
use crate::nonce::nonce;
use crate::observe::{FIRST_PUSHES, FirstPushNote, FirstPushNow, first_push_now, first_pushes};
use crate::oci::proof::proof_image;
use crate::registry::Managed;
use crate::spec::Authentication;
use crate::step::{Ctx, ProofImageIn, State, Step, StepId};
use crate::steps::cluster::save;
use crate::steps::host::HostTrust;
use crate::steps::registry::is_at_its_port;
use crate::symptoms::catalogue::node::UNKNOWN_AUTHORITY;
use crate::symptoms::credentials::diagnose;
use crate::verdict::FirstPush;

/// The step that makes the engine's host trust one registry at `localhost:port`, and proves that it verifies.
#[derive(Debug)]
pub struct HostProof {
    /// The trust, which this step makes.
    pub trust: HostTrust,
    /// The same registry.
    pub registry: Managed,
}

impl HostProof {
    /// Returns what a note must be about to be valid now; `None` if the registry has no certificate.
    async fn now(&self, ctx: &Ctx) -> Result<Option<FirstPushNow>> {
        let registry = self.registry.registry();
        first_push_now(&*ctx.docker, &self.trust.spec.cluster, registry).await
    }

    fn image(&self) -> ProofImage {
        ProofImage {
            spec: self.trust.spec.clone(),
            registry: self.registry.clone(),
            when: Proving::Always,
        }
    }

    /// Pushes an image without the CA and without a password, which an engine that does not verify could give to anybody.
    async fn push(&self, ctx: &Ctx) -> Result<FirstPush> {
        let registry = self.registry.registry();
        if registry.authentication() == Authentication::Anonymous {
            // An engine that does not verify would leave the image with whatever listens there.
            is_at_its_port(ctx, &self.trust.spec, &self.registry).await?;
        }
        let proof = self.image();
        let reference = proof.pushed_as();
        let image = proof_image(
            proof.architecture(ctx).await?,
            &reference,
            nonce()?.as_bytes(),
        )?;
        ctx.docker.remove_image(&reference).await?;
        ctx.docker.load(image.archive).await?;
        let pushed = ctx.docker.push(&reference, None).await;
        if pushed.is_ok() {
            let name = ProofImageIn::Named(proof.tagged());
            let mut images = ctx.proof_images.lock().await;
            images.insert(registry.name.clone(), name);
        }
        // It removes the image from the registry too, if it got there.
        proof.undo(ctx).await?;
        match pushed {
            Ok(()) => Ok(FirstPush::Accepted(engine(&ctx.docker.info().await?))),
            // An expired certificate, for one, would be refused with the CA as well.
            Err(DockerError::Other { cause, .. }) => Ok(if cause.contains(UNKNOWN_AUTHORITY) {
                FirstPush::Refused
            } else if diagnose(&cause).is_some() {
                // The registry asks for a password only after TLS.
                FirstPush::Accepted(engine(&ctx.docker.info().await?))
            } else {
                FirstPush::Failed(cause)
            }),
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns an engine's version and image store, which decide what it verifies.
fn engine(info: &EngineInfo) -> String {
    let store = match info.image_store {
        ImageStore::Classic => "its own image store",
        ImageStore::Containerd => "the containerd image store",
    };
    format!("Docker {} with {store}", info.version)
}

#[async_trait]
impl Step for HostProof {
    fn id(&self) -> StepId {
        self.trust.id()
    }

    fn title(&self) -> String {
        self.trust.title()
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let state = self.trust.check(ctx).await?;
        if state != State::Ready {
            return Ok(state);
        }
        let Some(FirstPushNow { subject, .. }) = self.now(ctx).await? else {
            return Ok(state);
        };
        let notes = first_pushes(&*ctx.docker, &self.trust.spec.cluster).await?;
        let note = notes.get(&self.registry.registry().name);
        Ok(match note {
            Some(note) if note.subject == subject => {
                let push = note.push.clone();
                let name = &self.registry.registry().name;
                ctx.note_first_push(name, push).await;
                State::Ready
            }
            Some(_) => State::Drifted("the engine has changed since its last proof".to_owned()),
            None => State::Drifted("not proven".to_owned()),
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let cluster = &self.trust.spec.cluster;
        let now = self.now(ctx).await?;
        let FirstPushNow { subject, obstacle } =
            now.context("the registry has no certificate yet")?;
        let push = if let Some(path) = obstacle {
            FirstPush::Obstructed(path)
        } else {
            if self.trust.check(ctx).await? != State::Missing {
                self.trust.undo(ctx).await?;
            }
            self.trust.install_without_ca(ctx).await?;
            self.push(ctx).await?
        };
        self.trust.apply(ctx).await?;
        let mut notes = first_pushes(&*ctx.docker, cluster).await?;
        let name = &self.registry.registry().name;
        ctx.note_first_push(name, push.clone()).await;
        notes.insert(name.clone(), FirstPushNote { subject, push });
        let text = serde_json::to_string(&notes)?;
        save(ctx, cluster, |record| {
            record.originals.insert(FIRST_PUSHES.to_owned(), text);
        })
        .await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        self.trust.undo(ctx).await
    }
}
