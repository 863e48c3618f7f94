//! Reads of the notes about the first push: what the engine did with a push to `localhost:port` before it had the
//! registry's CA. Only an engine that refuses it verifies TLS there.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ca, file, folder, on_host};
use crate::docker::{Docker, EngineInfo, ImageStore};
use crate::layout::{self, Layout};
use crate::render;
use crate::spec::{ClusterName, Registry, RegistryName};
use crate::verdict::FirstPush;

/// The file in the record with the notes, by registry.
pub const FIRST_PUSHES: &str = "first-pushes.json";

/// A note about one registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstPushNote {
    /// The hash of everything that decides the outcome. Another hash makes the note invalid.
    pub subject: String,
    /// The outcome.
    pub push: FirstPush,
}

/// Returns the notes of a cluster's registries.
///
/// # Errors
/// The notes can't be read, or the engine does not answer.
pub async fn first_pushes(
    docker: &dyn Docker,
    cluster: &ClusterName,
) -> Result<BTreeMap<RegistryName, FirstPushNote>> {
    let record = Layout::of(cluster).record();
    let originals = folder(docker, &record, layout::ORIGINALS).await?;
    match originals.unwrap_or_default().remove(FIRST_PUSHES) {
        Some(text) => {
            serde_json::from_slice(&text).context("can't read the record's notes about pushes")
        }
        None => Ok(BTreeMap::new()),
    }
}

/// What a note about a registry must be about to be valid now.
#[derive(Debug)]
pub struct FirstPushNow {
    /// The subject of a valid note.
    pub subject: String,
    /// The settings of somebody else that the engine obeys; `None` if there are none.
    pub obstacle: Option<String>,
}

/// Returns what a note about a registry must be about now; `None` if the registry has no certificate.
///
/// # Errors
/// The engine does not answer.
pub async fn first_push_now(
    docker: &dyn Docker,
    cluster: &ClusterName,
    registry: &Registry,
) -> Result<Option<FirstPushNow>> {
    let Some(ca_pem) = ca(docker, cluster, registry).await? else {
        return Ok(None);
    };
    let info = docker.info().await?;
    let obstacle = obstacle(docker, &info, cluster, registry).await?;
    let subject = subject(&info, &ca_pem, obstacle.as_deref());
    Ok(Some(FirstPushNow { subject, obstacle }))
}

/// Returns the hash of everything that decides whether the engine verifies a registry on loopback.
fn subject(info: &EngineInfo, ca_pem: &str, obstacle: Option<&str>) -> String {
    let mut hash = Sha256::new();
    let store = format!("{:?}", info.image_store);
    let insecure = info.insecure_registries.join(",");
    for part in [
        &info.version,
        &store,
        &insecure,
        ca_pem,
        obstacle.unwrap_or_default(),
    ] {
        hash.update(format!("{}\0{part}\0", part.len()));
    }
    hex::encode(hash.finalize())
}

/// Returns which settings of somebody else the engine reads before kindreg's for `localhost:port`; `None` if there are
/// none. Only the containerd image store reads such settings.
///
/// # Errors
/// The engine does not answer.
pub async fn obstacle(
    docker: &dyn Docker,
    info: &EngineInfo,
    cluster: &ClusterName,
    registry: &Registry,
) -> Result<Option<String>> {
    let Some(domain) = registry.local_domain() else {
        return Ok(None);
    };
    if info.image_store == ImageStore::Classic {
        return Ok(None);
    }
    let record = Layout::of(cluster).record();
    let path = |folder: &str| format!("{}/{folder}", layout::HOST_CERTS);
    for folder in layout::registry_folders(&domain) {
        if folder == domain {
            break;
        }
        let at = on_host(docker, cluster, &path(&folder)).await?;
        if docker.stat(&record, &at).await?.is_some() {
            return Ok(Some(format!("/etc/{}", path(&folder))));
        }
    }
    let hosts = format!("{}/{}", path(&domain), layout::HOSTS_TOML);
    let at = on_host(docker, cluster, &hosts).await?;
    let found = file(docker, &record, &at).await?;
    let theirs = found.is_some_and(|text| !render::is_engine_hosts_of(cluster, &text));
    Ok(theirs.then(|| format!("/etc/{hosts}")))
}
