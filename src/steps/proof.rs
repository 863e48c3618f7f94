//! The proof: one pod on every node pulls a new image over verified TLS, and runs it.
//!
//! A proven node keeps a note of what it was proven with, so that a second `up` need not prove again.

use anyhow::{Context, Error, Result, anyhow};
use async_trait::async_trait;
use futures_util::future::try_join_all;
use sha2::{Digest, Sha256};

use super::proof_image::ProofImage;
use super::proof_pods::Pods;
use super::verdict::{STOPPED, Verdict, Verdicts, refusal};
use super::{below, node_trust, nodes, stored};
use crate::archive::Archive;
use crate::docker::DockerError;
use crate::layout::{self, Layout};
use crate::problem::Problem;
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, State, Step};
use crate::symptoms::catalogue::node::{CONNECTION_REFUSED, NO_SUCH_HOST};
use crate::symptoms::credentials::diagnose;
use crate::symptoms::{Meaning, shows};

/// The proof on all nodes.
#[derive(Debug)]
pub struct Proof {
    /// What is asked.
    pub spec: Spec,
    /// The registry that is proven.
    pub registry: Registry,
}

/// Hash of everything that a proof is about; `None` while it can't be had.
pub(super) async fn subject(ctx: &Ctx, spec: &Spec, registry: &Registry) -> Result<Option<String>> {
    let Some(files) = node_trust::wanted_for(ctx, spec, registry).await? else {
        return Ok(None);
    };
    let mut hash = Sha256::new();
    for (path, content) in files {
        hash.update(format!("{path}\0{}\0", content.len()));
        hash.update(content);
    }
    if registry.external().is_some() {
        // Its container, if it is one, is not ours to look at; nodes that get other credentials lose their notes.
        hash.update(crate::render::node_hosts(spec));
        hash.update(crate::render::external_proof_images(spec, registry).join("\0"));
        return Ok(Some(hex::encode(hash.finalize())));
    }
    let name = Layout::of(&spec.cluster).registry(&registry.name);
    let Some(container) = ctx.docker.container(&name).await? else {
        return Ok(None);
    };
    hash.update(container.id);
    if registry.asks_password() {
        let Some(stored) = stored(ctx, &spec.cluster, registry).await? else {
            return Ok(None);
        };
        hash.update(stored.serial);
    }
    Ok(Some(hex::encode(hash.finalize())))
}

/// Path of a node's note that it was proven with a registry, below [`layout::NODE_STATE`].
pub(super) fn note(registry: &Registry) -> String {
    format!("proof/{}", registry.name)
}

/// An archive for a node that takes its proofs back too.
pub(super) fn withdrawn(archive: Archive, spec: &Spec) -> Archive {
    let notes = spec.registries.iter().map(note);
    notes.fold(archive, |archive, note| {
        archive.file(format!("var/lib/kindreg/{note}"), 0o644, "")
    })
}

/// Whether every node was proven with what is there now.
pub(super) async fn proven(ctx: &Ctx, spec: &Spec, registry: &Registry) -> Result<State> {
    let all = nodes(&*ctx.docker, spec).await?;
    let good = proven_nodes(ctx, spec, registry).await?;
    let mut left: Vec<&str> = all.iter().map(|node| node.name.as_str()).collect();
    left.retain(|node| good.iter().all(|good| good != node));
    Ok(if left.len() == all.len() {
        State::Missing
    } else if left.is_empty() {
        State::Ready
    } else {
        State::Drifted(format!("not proven: {}", left.join(", ")))
    })
}

/// The nodes that were proven with what is there now.
pub(crate) async fn proven_nodes(
    ctx: &Ctx,
    spec: &Spec,
    registry: &Registry,
) -> Result<Vec<String>> {
    let Some(subject) = subject(ctx, spec, registry).await? else {
        return Ok(Vec::new());
    };
    let found = nodes(&*ctx.docker, spec).await?.into_iter();
    let notes = found.map(|node| async move {
        let note = match ctx.docker.download(&node.name, layout::NODE_STATE).await? {
            Some(tar) => below(&tar, "kindreg")?.remove(&note(registry)),
            None => None,
        };
        anyhow::Ok((node.name, note))
    });
    let notes = try_join_all(notes).await?.into_iter();
    let good = notes.filter(|(_, note)| note.as_deref() == Some(subject.as_bytes()));
    Ok(good.map(|(node, _)| node).collect())
}

/// Writes every node's note of a registry.
pub(super) async fn write_notes(
    ctx: &Ctx,
    spec: &Spec,
    registry: &Registry,
    text: &str,
) -> Result<()> {
    let archive = Archive::new()
        .file(
            format!("var/lib/kindreg/{}", note(registry)),
            0o644,
            text.to_owned(),
        )
        .into_bytes()?;
    let found = nodes(&*ctx.docker, spec).await?;
    try_join_all(found.iter().map(|node| async {
        match ctx.docker.upload(&node.name, "/", archive.clone()).await {
            Ok(()) | Err(DockerError::Gone { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }))
    .await?;
    Ok(())
}

impl Proof {
    fn pods(&self) -> Pods<'_> {
        let Self { spec, registry } = self;
        Pods { spec, registry }
    }

    fn image(&self) -> ProofImage {
        let (spec, registry) = (self.spec.clone(), self.registry.clone());
        ProofImage { spec, registry }
    }

    /// The image by each of these names. Made where there is none: its own check came first, and then a lane beside it
    /// repaired a node, which withdraws its proof.
    async fn images(&self, ctx: &Ctx, domains: &[String]) -> Result<Vec<String>> {
        let name = &self.registry.name;
        if !ctx.proof_images.lock().await.contains_key(name) {
            self.image().apply(ctx).await?;
        }
        let made = ctx.proof_images.lock().await;
        let image = made.get(name).context("the proof's image is gone")?;
        Ok(domains
            .iter()
            .map(|domain| format!("{domain}/{image}"))
            .collect())
    }

    /// One pod on every node: what each came to, and the failure, where one can't pull. Where all did, nodes note it.
    pub async fn examine(&self, ctx: &Ctx) -> Result<(Verdicts, Option<Error>)> {
        let images = self.images(ctx, &self.registry.proof_domains()).await?;
        let verdicts = self.pods().run(ctx, &images).await;
        self.clear(ctx).await?;
        let verdicts = verdicts?;
        let refusal = refusal(&self.registry, &verdicts, |cause| remedy(cause, &self.spec));
        if refusal.is_none() {
            let gone = || {
                Problem::new(
                    "the registry was removed meanwhile",
                    "kindreg up makes it again",
                )
            };
            let subject = subject(ctx, &self.spec, &self.registry).await?;
            write_notes(
                ctx,
                &self.spec,
                &self.registry,
                &subject.with_context(gone)?,
            )
            .await?;
        }
        Ok((verdicts, refusal))
    }

    /// The negative: what each node comes to by a name for which it has no CA, the registry's own container name; and
    /// the failure, where one does not refuse for want of it.
    pub async fn refuted(&self, ctx: &Ctx) -> Result<(Verdicts, Option<Error>)> {
        let container = Layout::of(&self.spec.cluster).registry(&self.registry.name);
        let folders = [format!("{container}:{}", self.registry.port)];
        let images = self.images(ctx, &folders).await?;
        // Without a folder for it the mirror of all registries would be asked, which every node trusts.
        node_trust::make_empty(ctx, &self.spec, &folders).await?;
        let verdicts = self.pods().run(ctx, &images).await;
        node_trust::remove(ctx, &self.spec, &folders).await?;
        self.pods().remove(ctx).await?;
        let verdicts = verdicts?;
        let acceptance = acceptance(&verdicts);
        Ok((verdicts, acceptance))
    }

    /// Removes what the proof needed and nobody else does.
    async fn clear(&self, ctx: &Ctx) -> Result<()> {
        let (image, pods) = (self.image(), self.pods());
        tokio::try_join!(pods.remove(ctx), image.undo(ctx))?;
        Ok(())
    }
}

/// The failure of the negative.
fn acceptance(verdicts: &Verdicts) -> Option<Error> {
    let accepts = |(_, verdict): &(&String, &Verdict)| !verdict.lacks_ca();
    let (node, verdict) = verdicts.iter().find(accepts)?;
    let why = verdict.why().unwrap_or("it pulled without the CA");
    Some(anyhow!("{node}: {why}").context(Problem::not_ready(
        format!("node {node} does not refuse a registry whose CA it lacks"),
        "look for skip_verify, or for a CA in the node's own store: \
         docker exec NODE grep -r skip_verify /etc/containerd",
    )))
}

fn remedy(cause: &str, spec: &Spec) -> String {
    let up = format!("kindreg up --name {}", spec.cluster);
    if let Some(trouble) = diagnose(cause) {
        format!(
            "{}; {}",
            trouble.cause(),
            trouble.next(spec.cluster.as_str())
        )
    } else if cause == STOPPED {
        format!("this starts it again: {up}")
    } else if shows(cause, Meaning::Untrusted) || shows(cause, Meaning::NotFound) {
        format!("the node's trust is not what kindreg wrote; this repairs it: {up}")
    } else if NO_SUCH_HOST.is_in(cause) || CONNECTION_REFUSED.is_in(cause) {
        format!("the registry is not reached; this starts and connects it again: {up}")
    } else {
        format!(
            "see the node's own words: docker exec {}-control-plane journalctl -u containerd | tail",
            spec.cluster
        )
    }
}

#[async_trait]
impl Step for Proof {
    fn title(&self) -> String {
        format!(
            "proof: a pod on every node pulls from {}",
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
        self.clear(ctx).await?;
        write_notes(ctx, &self.spec, &self.registry, "").await
    }
}
