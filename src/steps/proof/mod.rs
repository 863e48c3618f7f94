//! Steps of the proof: a pod on every node pulls a new image over verified TLS, and runs it.

use anyhow::Result;
use futures_util::future::try_join_all;

use crate::archive::Archive;
use crate::docker::{Docker, DockerError};
use crate::observe::{self, nodes, note_path, proven_nodes};
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, State};

mod doubts;
mod external;
mod host;
mod image;
mod pods;
mod pull;
mod refusal;
mod verdict;

pub use external::ExternalProof;
pub use host::HostProof;
pub use image::ProofImage;
pub use pull::Proof;
pub use refusal::Refusal;
pub use verdict::lacks_ca;

/// When a proof is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proving {
    /// Only if a node's last proof does not cover the current state: for `up`.
    IfStale,
    /// In every run: for `verify`.
    Always,
}

/// Adds empty proof notes to an archive for a node, so that its proofs are no longer valid.
pub(crate) fn invalidate_proofs(archive: Archive, spec: &Spec) -> Archive {
    let notes = spec.registries.iter().map(note_path);
    notes.fold(archive, |archive, note| {
        archive.file(format!("var/lib/kindreg/{note}"), 0o644, "")
    })
}

/// Returns Ready if the last proof of every node covers the current state; Missing if that of no node does.
async fn proven(docker: &dyn Docker, spec: &Spec, registry: &Registry) -> Result<State> {
    let all = nodes(docker, &spec.cluster).await?;
    let good = proven_nodes(docker, spec, registry).await?;
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

/// Writes a registry's proof note on every node.
async fn write_notes(ctx: &Ctx, spec: &Spec, registry: &Registry, text: &str) -> Result<()> {
    let path = format!("var/lib/kindreg/{}", observe::note_path(registry));
    let archive = Archive::new().file(path, 0o644, text.to_owned());
    let archive = archive.into_bytes()?;
    let found = nodes(&*ctx.docker, &spec.cluster).await?;
    try_join_all(found.iter().map(|node| async {
        match ctx.docker.upload(&node.name, "/", archive.clone()).await {
            Ok(()) | Err(DockerError::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }))
    .await?;
    Ok(())
}
