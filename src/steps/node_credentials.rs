//! The registries' credentials in every node, for every namespace and service account, those to come included.

use anyhow::{Result, anyhow};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;

use super::external_proof::refused;
use super::kubelet::Kubelet;
use super::per_node::{PerNode, together};
use super::proof::note;
use super::{nodes, running, stored};
use crate::credentials::{RegistryCredentials, auths};
use crate::docker::{Container, DockerError};
use crate::login;
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, Leaves, State, Step};

/// kubelet's credentials on all nodes.
#[derive(Debug)]
pub struct NodeCredentials {
    /// What is asked.
    pub spec: Spec,
}

/// Credentials by domain.
pub type Passwords = Vec<(String, RegistryCredentials)>;

/// Every name of every registry that asks for a password.
pub(crate) fn domains(spec: &Spec) -> Vec<String> {
    asking(spec).flat_map(Registry::domains).collect()
}

fn asking(spec: &Spec) -> impl Iterator<Item = &Registry> {
    spec.registries.iter().filter(|one| one.asks_password())
}

/// A domain, and what nodes are to have for it; `None` while nobody knows.
type Wanted = Vec<(String, Option<RegistryCredentials>)>;

/// kubelet's file in each of these nodes; empty where there is none.
async fn configs(ctx: &Ctx, found: &[Container]) -> Result<Vec<Bytes>> {
    let configs = found.iter().map(|Container { name: node, .. }| async move {
        let present = Kubelet { ctx, node }.present().await?;
        anyhow::Ok(present.unwrap_or_default())
    });
    try_join_all(configs).await
}

/// The credentials of a registry: those that it was given, or else, where somebody else runs it, those that the user
/// has at hand, or that all nodes agree on. They are kept nowhere else.
async fn user(
    ctx: &Ctx,
    spec: &Spec,
    registry: &Registry,
    configs: &[Bytes],
) -> Result<Option<RegistryCredentials>> {
    if registry.is_ours() {
        let stored = stored(ctx, &spec.cluster, registry).await?;
        return Ok(stored.map(|stored| stored.current));
    }
    let at_hand = ctx.external_credentials.get(&registry.name);
    Ok(at_hand.cloned().or_else(|| agreed(configs, registry)))
}

/// What nodes have for a registry, where those that have something have the same.
fn agreed(configs: &[Bytes], registry: &Registry) -> Option<RegistryCredentials> {
    let domain = registry.domain();
    let mut users = configs
        .iter()
        .filter_map(|config| auths::user(config, &domain));
    let first = users.next()?;
    users.all(|user| user == first).then_some(first)
}

async fn wanted(ctx: &Ctx, spec: &Spec, configs: &[Bytes]) -> Result<Wanted> {
    let mut wanted = Vec::new();
    for registry in asking(spec) {
        let user = user(ctx, spec, registry, configs).await?;
        let domains = registry.domains().into_iter();
        wanted.extend(domains.map(|domain| (domain, user.clone())));
    }
    Ok(wanted)
}

/// The credentials of one registry; `None` where it asks for none, or none are known.
pub async fn credentials_of(
    ctx: &Ctx,
    spec: &Spec,
    registry: &Registry,
) -> Result<Option<RegistryCredentials>> {
    if !registry.asks_password() {
        return Ok(None);
    }
    let configs = if registry.is_ours() {
        Vec::new()
    } else {
        configs(ctx, &nodes(&*ctx.docker, spec).await?).await?
    };
    user(ctx, spec, registry, &configs).await
}

/// What every node is to have; `None` while a registry has no user.
pub async fn passwords(ctx: &Ctx, spec: &Spec) -> Result<Option<Passwords>> {
    let configs = if asking(spec).all(Registry::is_ours) {
        Vec::new()
    } else {
        configs(ctx, &nodes(&*ctx.docker, spec).await?).await?
    };
    let wanted = wanted(ctx, spec, &configs).await?.into_iter();
    Ok(wanted.map(|(domain, user)| Some((domain, user?))).collect())
}

/// What nodes hold for a registry whose credentials are to be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Nothing, or not the same.
    Nothing,
    /// What the registry has refused.
    Refused,
}

/// The registries of others' whose credentials are neither at hand nor in the nodes.
pub async fn lacking<'a>(ctx: &Ctx, spec: &'a Spec) -> Result<Vec<(&'a Registry, Held)>> {
    let mut all = Vec::new();
    let unknown = asking(spec)
        .filter(|one| !one.is_ours() && !ctx.external_credentials.contains_key(&one.name));
    for registry in unknown {
        let found = nodes(&*ctx.docker, spec).await?;
        if agreed(&configs(ctx, &found).await?, registry).is_none() {
            all.push((registry, Held::Nothing));
        } else if refused(ctx, &found, registry).await? {
            all.push((registry, Held::Refused));
        }
    }
    Ok(all)
}

fn state(present: &[u8], wanted: &Wanted) -> State {
    let holds = |(domain, user): &&(String, Option<RegistryCredentials>)| {
        let user = user.as_ref();
        user.is_some_and(|user| auths::holds(present, domain, user))
    };
    let any = || {
        wanted
            .iter()
            .any(|(domain, _)| auths::names(present, domain))
    };
    match wanted.iter().find(|wanted| !holds(wanted)) {
        None => State::Ready,
        Some(_) if !any() => State::Missing,
        Some((domain, _)) => State::Drifted(format!("another password of {domain}")),
    }
}

impl NodeCredentials {
    /// How each node is.
    pub(crate) async fn per_node(&self, ctx: &Ctx) -> Result<PerNode> {
        let found = nodes(&*ctx.docker, &self.spec).await?;
        let configs = configs(ctx, &found).await?;
        let wanted = wanted(ctx, &self.spec, &configs).await?;
        let states = configs.iter().map(|present| state(present, &wanted));
        Ok(found
            .into_iter()
            .map(|node| node.name)
            .zip(states)
            .collect())
    }
}

#[async_trait]
impl Step for NodeCredentials {
    fn title(&self) -> String {
        "password in every node".to_owned()
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        Ok(together(self.per_node(ctx).await?))
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let found = nodes(&*ctx.docker, &self.spec).await?;
        let configs = configs(ctx, &found).await?;
        let wanted = &wanted(ctx, &self.spec, &configs).await?;
        if let Some((domain, _)) = wanted.iter().find(|(_, user)| user.is_none()) {
            let mut externals = self.spec.externals();
            return Err(match externals.find(|one| one.domain() == *domain) {
                Some(external) => login::missing(external).into(),
                None => anyhow!("a registry has no password yet"),
            });
        }
        let entries = wanted.iter();
        let entries = entries.filter_map(|(domain, user)| Some((domain.clone(), user.as_ref()?)));
        let entries = &entries.collect::<auths::Entries<'_>>();
        // What was proven with other credentials is proven no more.
        let notes = &asking(&self.spec).map(note).collect::<Vec<_>>();
        let each = found.iter().zip(&configs);
        try_join_all(
            each.map(|(Container { name: node, .. }, present)| async move {
                if state(present, wanted) != State::Ready {
                    Kubelet { ctx, node }.add(entries, notes).await?;
                }
                anyhow::Ok(())
            }),
        )
        .await?;
        Ok(())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let domains = &domains(&self.spec);
        let found = running(ctx, &self.spec).await?;
        try_join_all(found.iter().map(|Container { name: node, .. }| async move {
            match (Kubelet { ctx, node }).revoke(domains).await {
                Err(error) if !matches!(error.downcast_ref(), Some(DockerError::Gone { .. })) => {
                    Err(error)
                }
                _ => Ok(()),
            }
        }))
        .await?;
        Ok(())
    }
}

/// Credentials in nodes that earlier settings needed and today's do not.
#[derive(Debug)]
pub struct RetiredCredentials {
    /// What is asked.
    pub spec: Spec,
    /// The names of registries that ask for no password any more.
    pub domains: Vec<String>,
}

#[async_trait]
impl Step for RetiredCredentials {
    fn title(&self) -> String {
        format!(
            "removal of passwords from every node: {}",
            self.domains.join(", ")
        )
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        for Container { name: node, .. } in &nodes(&*ctx.docker, &self.spec).await? {
            if (Kubelet { ctx, node }).has(&self.domains).await? {
                return Ok(State::Drifted(format!("left on {node}")));
            }
        }
        Ok(State::Ready)
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let others = !domains(&self.spec).is_empty();
        for Container { name: node, .. } in &running(ctx, &self.spec).await? {
            let kubelet = Kubelet { ctx, node };
            if others {
                kubelet.retire(&self.domains).await?;
            } else {
                kubelet.revoke(&self.domains).await?;
            }
        }
        Ok(())
    }

    async fn undo(&self, _: &Ctx) -> Result<()> {
        Ok(())
    }
}
