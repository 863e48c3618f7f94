//! Reads of credentials: those that registries, nodes and the user have, and those that nodes need.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;
use futures_util::future::try_join_all;

use super::{file, nodes, refused, stored_users};
use crate::credentials::{RegistryCredentials, auths};
use crate::docker::{Container, Docker};
use crate::layout;
use crate::spec::{Authentication, External, ExternalLogin, Registry, RegistryName, Spec};

/// The user's credentials for external registries, as far as they were found.
pub type AtHand = BTreeMap<RegistryName, RegistryCredentials>;

/// Credentials, each with its registry domain (`host:port`).
pub type Passwords = Vec<(String, RegistryCredentials)>;

/// Registry domains with the credentials that nodes need; `None` if the credentials are not known.
pub(crate) type Wanted = Vec<(String, Option<RegistryCredentials>)>;

/// Returns kubelet's credentials file in each of these nodes, in the same order; empty if a node has none.
pub async fn kubelet_configs(docker: &dyn Docker, found: &[Container]) -> Result<Vec<Bytes>> {
    let configs = found.iter().map(|node| async move {
        let path = format!("{}/{}", layout::NODE_KUBELET, layout::NODE_KUBELET_CONFIG);
        let config = file(docker, &node.name, &path).await?;
        anyhow::Ok(config.unwrap_or_default())
    });
    try_join_all(configs).await
}

/// Returns the credentials of a registry; `None` if it needs none or they are not known. A registry that kindreg runs
/// has them in its secret volume. Those of an external registry come from the user, or else from the nodes.
async fn user(
    docker: &dyn Docker,
    spec: &Spec,
    registry: &Registry,
    configs: &[Bytes],
    at_hand: &AtHand,
) -> Result<Option<RegistryCredentials>> {
    match registry.authentication() {
        Authentication::Anonymous => Ok(None),
        Authentication::Stored => {
            let stored = stored_users(docker, &spec.cluster, registry).await?;
            Ok(stored.map(|stored| stored.current))
        }
        Authentication::Docker | Authentication::Variables(_) => {
            let at_hand = at_hand.get(&registry.name);
            Ok(at_hand.cloned().or_else(|| agreed(configs, registry)))
        }
    }
}

/// Returns the credentials that nodes have for a registry; `None` if no node has any, or if they differ.
fn agreed(configs: &[Bytes], registry: &Registry) -> Option<RegistryCredentials> {
    let domain = registry.domain();
    let mut users = configs
        .iter()
        .filter_map(|config| auths::user(config, &domain));
    let first = users.next()?;
    users.all(|user| user == first).then_some(first)
}

/// Returns the credentials that every node needs. `configs` are the credentials files that nodes have now.
pub(crate) async fn wanted(
    docker: &dyn Docker,
    spec: &Spec,
    configs: &[Bytes],
    at_hand: &AtHand,
) -> Result<Wanted> {
    let mut wanted = Vec::new();
    for registry in spec.authenticated() {
        let user = user(docker, spec, registry, configs, at_hand).await?;
        let domains = registry.domains().into_iter();
        wanted.extend(domains.map(|domain| (domain, user.clone())));
    }
    Ok(wanted)
}

/// Returns the credentials files of the nodes; empty if the credentials of all these registries are in secret volumes.
async fn needed_configs<'a>(
    docker: &dyn Docker,
    spec: &Spec,
    mut registries: impl Iterator<Item = &'a Registry>,
) -> Result<Vec<Bytes>> {
    if registries.all(|registry| registry.authentication() == Authentication::Stored) {
        return Ok(Vec::new());
    }
    kubelet_configs(docker, &nodes(docker, &spec.cluster).await?).await
}

/// Returns the credentials of one registry; `None` if it needs none or they are not known.
pub async fn credentials_of(
    docker: &dyn Docker,
    spec: &Spec,
    registry: &Registry,
    at_hand: &AtHand,
) -> Result<Option<RegistryCredentials>> {
    if registry.authentication() == Authentication::Anonymous {
        return Ok(None);
    }
    let configs = needed_configs(docker, spec, std::iter::once(registry)).await?;
    user(docker, spec, registry, &configs, at_hand).await
}

/// Returns the credentials that every node needs; `None` if those of a registry are not known yet.
pub async fn passwords(
    docker: &dyn Docker,
    spec: &Spec,
    at_hand: &AtHand,
) -> Result<Option<Passwords>> {
    let configs = needed_configs(docker, spec, spec.authenticated()).await?;
    let wanted = wanted(docker, spec, &configs, at_hand).await?.into_iter();
    Ok(wanted.map(|(domain, user)| Some((domain, user?))).collect())
}

/// The credentials that nodes have for an external registry whose credentials are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// None, or different ones on different nodes.
    Nothing,
    /// Credentials that the registry refused.
    Refused,
}

/// Returns the external registries that need credentials which neither the user nor the nodes have, or which the
/// registry refused.
pub async fn missing<'a>(
    docker: &dyn Docker,
    spec: &'a Spec,
    at_hand: &AtHand,
) -> Result<Vec<(&'a Registry, &'a External, Held)>> {
    let mut all = Vec::new();
    for (registry, external) in spec.externals() {
        if external.login == ExternalLogin::Anonymous || at_hand.contains_key(&registry.name) {
            continue;
        }
        let found = nodes(docker, &spec.cluster).await?;
        if agreed(&kubelet_configs(docker, &found).await?, registry).is_none() {
            all.push((registry, external, Held::Nothing));
        } else if refused(docker, &found, registry).await? {
            all.push((registry, external, Held::Refused));
        }
    }
    Ok(all)
}
