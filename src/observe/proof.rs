//! Reads of the proof notes in nodes. A note says what a node was proven with, so that a second `up` skips the proof.

use anyhow::Result;
use futures_util::future::try_join_all;
use sha2::{Digest, Sha256};

use super::{expected_files_of, folder, nodes, stored_users};
use crate::docker::{Container, Docker};
use crate::layout::{self, Layout};
use crate::spec::{Authentication, Backend, Registry, Spec};

/// The text of a node's note after the registry refused its credentials. The next `up` looks for new ones.
pub const REFUSED: &str = "refused";

/// Returns the path of a node's proof note for a registry, relative to [`layout::NODE_STATE`].
#[must_use]
pub fn note_path(registry: &Registry) -> String {
    format!("proof/{}", registry.name)
}

/// Returns the hash of everything that a proof covers: files in nodes, container, users; `None` if some of it is
/// missing.
pub async fn subject(
    docker: &dyn Docker,
    spec: &Spec,
    registry: &Registry,
) -> Result<Option<String>> {
    let Some(files) = expected_files_of(docker, spec, registry).await? else {
        return Ok(None);
    };
    let mut hash = Sha256::new();
    for (path, content) in files {
        hash.update(format!("{path}\0{}\0", content.len()));
        hash.update(content);
    }
    match &registry.backend {
        Backend::External(external) => {
            // Without its container, which may not exist here. Nodes that get new credentials lose their notes.
            hash.update(crate::render::node_hosts(spec));
            let images = crate::render::external_proof_images(spec, registry, external);
            hash.update(images.join("\0"));
        }
        Backend::Distribution(_) => {
            let name = Layout::of(&spec.cluster).registry(&registry.name);
            let Some(container) = docker.container(&name).await? else {
                return Ok(None);
            };
            hash.update(container.id);
            // Another certificate of the same CA: no file in nodes changes.
            if let Some(own) = registry.own_certificate() {
                hash.update(own.certificate.to_string());
            }
        }
    }
    if registry.authentication() == Authentication::Stored {
        let Some(stored) = stored_users(docker, &spec.cluster, registry).await? else {
            return Ok(None);
        };
        hash.update(stored.serial);
    }
    Ok(Some(hex::encode(hash.finalize())))
}

/// Returns the names of the nodes whose last proof covers the current state.
pub async fn proven_nodes(
    docker: &dyn Docker,
    spec: &Spec,
    registry: &Registry,
) -> Result<Vec<String>> {
    let Some(subject) = subject(docker, spec, registry).await? else {
        return Ok(Vec::new());
    };
    let found = nodes(docker, &spec.cluster).await?;
    let notes = notes(docker, &found, registry).await?;
    let good = found.into_iter().zip(notes);
    let good = good.filter(|(_, note)| note.as_deref() == Some(subject.as_bytes()));
    Ok(good.map(|(node, _)| node.name).collect())
}

/// Returns whether the registry refused the credentials of one of these nodes.
pub async fn refused(
    docker: &dyn Docker,
    found: &[Container],
    registry: &Registry,
) -> Result<bool> {
    let notes = notes(docker, found, registry).await?;
    let is_refusal = |note: &Option<bytes::Bytes>| note.as_deref() == Some(REFUSED.as_bytes());
    Ok(notes.iter().any(is_refusal))
}

async fn notes(
    docker: &dyn Docker,
    found: &[Container],
    registry: &Registry,
) -> Result<Vec<Option<bytes::Bytes>>> {
    let path = &note_path(registry);
    let notes = found.iter().map(|node| async move {
        let state = folder(docker, &node.name, layout::NODE_STATE).await?;
        anyhow::Ok(state.and_then(|mut state| state.remove(path)))
    });
    try_join_all(notes).await
}
