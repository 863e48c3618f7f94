//! Reads of a registry's secret volume: certificate, key and users.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;

use super::folder;
use crate::credentials::Stored;
use crate::docker::Docker;
use crate::layout::{self, Layout};
use crate::pki::Identity;
use crate::spec::{ClusterName, Registry, Trust};

/// Returns the files of a registry's secret volume, by path; `None` if the registry has no container. Empty files count
/// as missing, because the archive API can't delete.
pub async fn secret_files(
    docker: &dyn Docker,
    cluster: &ClusterName,
    registry: &Registry,
) -> Result<Option<BTreeMap<String, Bytes>>> {
    let container = Layout::of(cluster).registry(&registry.name);
    let mut files = folder(docker, &container, layout::SECRET).await?;
    if let Some(files) = &mut files {
        files.retain(|_, content| !content.is_empty());
    }
    Ok(files)
}

/// Returns the CA, certificate and key of a registry; `None` if one of them is missing.
pub async fn identity(
    docker: &dyn Docker,
    cluster: &ClusterName,
    registry: &Registry,
) -> Result<Option<Identity>> {
    let files = secret_files(docker, cluster, registry)
        .await?
        .unwrap_or_default();
    let text = |name: &str| String::from_utf8(files.get(name)?.to_vec()).ok();
    let (Some(ca_pem), Some(leaf_pem), Some(key_pem)) = (
        text(layout::SECRET_CA),
        text(layout::SECRET_LEAF),
        text(layout::SECRET_KEY),
    ) else {
        return Ok(None);
    };
    Ok(Some(Identity {
        ca_pem,
        leaf_pem,
        key: key_pem.into(),
    }))
}

/// Returns the CA that clients of a registry have to trust, as PEM; `None` if there is none yet, or if it is a public
/// CA.
pub async fn ca(
    docker: &dyn Docker,
    cluster: &ClusterName,
    registry: &Registry,
) -> Result<Option<String>> {
    match registry.trust() {
        Trust::Public => Ok(None),
        Trust::Given(ca) => Ok(Some(ca.pem().to_owned())),
        Trust::Stored => {
            let identity = identity(docker, cluster, registry).await?;
            Ok(identity.map(|identity| identity.ca_pem))
        }
    }
}

/// Returns the users in a registry's secret volume; `None` if there are none.
///
/// # Errors
/// The file is invalid, or the engine does not answer.
pub async fn stored_users(
    docker: &dyn Docker,
    cluster: &ClusterName,
    registry: &Registry,
) -> Result<Option<Stored>> {
    let files = secret_files(docker, cluster, registry)
        .await?
        .unwrap_or_default();
    let file = files.get(layout::SECRET_CREDENTIALS);
    Ok(file.map(|text| Stored::from_json(text)).transpose()?)
}
