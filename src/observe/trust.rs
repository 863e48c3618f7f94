//! The files that containerd's registry folders in nodes should have.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;

use super::ca;
use crate::docker::Docker;
use crate::render;
use crate::spec::{Registry, Spec, Trust};

/// Returns the files that nodes should have, by path relative to certs.d; `None` if a registry has no certificate yet.
pub async fn expected_files(
    docker: &dyn Docker,
    spec: &Spec,
) -> Result<Option<BTreeMap<String, Bytes>>> {
    let mut all = BTreeMap::new();
    for registry in &spec.registries {
        let Some(files) = expected_files_of(docker, spec, registry).await? else {
            return Ok(None);
        };
        all.extend(files);
    }
    Ok(Some(all))
}

/// Returns the files that nodes should have for one registry, by path relative to certs.d; `None` if it has no
/// certificate yet.
pub async fn expected_files_of(
    docker: &dyn Docker,
    spec: &Spec,
    registry: &Registry,
) -> Result<Option<BTreeMap<String, Bytes>>> {
    let ca_pem = ca(docker, &spec.cluster, registry).await?;
    if ca_pem.is_none() && registry.trust() != Trust::Public {
        return Ok(None);
    }
    Ok(Some(render::node_files(registry, ca_pem.as_deref())?))
}
