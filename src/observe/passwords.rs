//! Credentials: what registries, nodes and the user have, and what nodes are to have.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;
use futures_util::future::try_join_all;

use super::{nodes, refused, stored_users};
use crate::archive;
use crate::credentials::{RegistryCredentials, auths};
use crate::docker::{Container, Docker};
use crate::layout;
use crate::spec::{Authentication, External, ExternalLogin, Registry, RegistryName, Spec};

/// The user's credentials for external registries, as far as they are at hand.
pub type AtHand = BTreeMap<RegistryName, RegistryCredentials>;

/// Credentials by domain.
pub type Passwords = Vec<(String, RegistryCredentials)>;

/// A domain, and what nodes are to have for it; `None` while nobody knows.
pub(crate) type Wanted = Vec<(String, Option<RegistryCredentials>)>;

/// Returns kubelet's file of credentials in each of these nodes; empty where there is none.
pub async fn kubelet_configs(docker: &dyn Docker, found: &[Container]) -> Result<Vec<Bytes>> {
    let configs = found.iter().map(|node| async move {
        let path = format!("{}/{}", layout::NODE_KUBELET, layout::NODE_KUBELET_CONFIG);
        let Some(tar) = docker.download(&node.name, &path).await? else {
            return Ok(Bytes::new());
        };
        let file = archive::files(&tar)?.remove(layout::NODE_KUBELET_CONFIG);
        anyhow::Ok(file.map(|file| file.content).unwrap_or_default())
    });
    try_join_all(configs).await
}

/// Returns the credentials of a registry: those in its secret volume, or else, where somebody else runs it, those that
/// the user has at hand, or that all nodes agree on. They are kept nowhere else.
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

/// Returns what nodes have for a registry, where those that have something have the same.
fn agreed(configs: &[Bytes], registry: &Registry) -> Option<RegistryCredentials> {
    let domain = registry.domain();
    let mut users = configs
        .iter()
        .filter_map(|config| auths::user(config, &domain));
    let first = users.next()?;
    users.all(|user| user == first).then_some(first)
}

/// Returns what every node is to have, given what they have.
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

/// Returns nodes' files of credentials, where one of these registries has its credentials nowhere else.
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

/// Returns the credentials of one registry; `None` where it asks for none, or none are known.
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

/// Returns what every node is to have; `None` while a registry has no user.
pub async fn passwords(
    docker: &dyn Docker,
    spec: &Spec,
    at_hand: &AtHand,
) -> Result<Option<Passwords>> {
    let configs = needed_configs(docker, spec, spec.authenticated()).await?;
    let wanted = wanted(docker, spec, &configs, at_hand).await?.into_iter();
    Ok(wanted.map(|(domain, user)| Some((domain, user?))).collect())
}

/// What nodes hold for an external registry whose credentials have to be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Nothing, or not the same.
    Nothing,
    /// Credentials that the registry has refused.
    Refused,
}

/// Returns the external registries whose credentials are neither at hand nor in the nodes, or were refused.
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
