//! What nodes were proven with: each keeps a note, so that a second `up` need not prove again.

use anyhow::Result;
use futures_util::future::try_join_all;
use sha2::{Digest, Sha256};

use super::{below, expected_files_of, nodes, stored_users};
use crate::docker::{Container, Docker};
use crate::layout::{self, Layout};
use crate::spec::{Authentication, Backend, Registry, Spec};

/// Text of a node's note after the registry refused its credentials: they have to be looked for anew.
pub const REFUSED: &str = "refused";

/// Returns the path of a node's note that it was proven with a registry, below [`layout::NODE_STATE`].
#[must_use]
pub fn note_path(registry: &Registry) -> String {
    format!("proof/{}", registry.name)
}

/// Returns a hash of everything that a proof is about; `None` while some of it is missing.
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
            // Its container, if it is one, is not ours to look at; nodes that get other credentials lose their notes.
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

/// Returns the nodes that were proven with what is there now.
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

/// Returns whether the registry refused what one of these nodes has.
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
        let Some(tar) = docker.download(&node.name, layout::NODE_STATE).await? else {
            return anyhow::Ok(None);
        };
        Ok(below(&tar, "kindreg")?.remove(path))
    });
    try_join_all(notes).await
}
