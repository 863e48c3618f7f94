//! The registries' credentials in every node, for every namespace and service account, those to come included.

use anyhow::{Result, bail};
use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::kubelet::Kubelet;
use super::proof::note;
use super::{nodes, stored};
use crate::credentials::{RegistryCredentials, auths};
use crate::docker::{Container, ContainerState, DockerError};
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

/// What every node is to have; `None` while a registry has no user.
pub async fn passwords(ctx: &Ctx, spec: &Spec) -> Result<Option<Passwords>> {
    let mut wanted = Vec::new();
    for registry in asking(spec) {
        let Some(stored) = stored(ctx, &spec.cluster, registry).await? else {
            return Ok(None);
        };
        let user = |domain| (domain, stored.current.clone());
        wanted.extend(registry.domains().into_iter().map(user));
    }
    Ok(Some(wanted))
}

async fn state(ctx: &Ctx, node: &str, wanted: &Passwords) -> Result<State> {
    let present = Kubelet { ctx, node }.present().await?.unwrap_or_default();
    let differs = wanted
        .iter()
        .find(|(domain, user)| !auths::holds(&present, domain, user));
    let any = || {
        wanted
            .iter()
            .any(|(domain, _)| auths::names(&present, domain))
    };
    Ok(match differs {
        None => State::Ready,
        Some(_) if !any() => State::Missing,
        Some((domain, _)) => State::Drifted(format!("{node} has another password of {domain}")),
    })
}

/// A node that does not run pulls nothing, and goes with the cluster.
async fn running(ctx: &Ctx, spec: &Spec) -> Result<Vec<Container>> {
    let mut found = nodes(&*ctx.docker, spec).await?;
    found.retain(|node| node.state == ContainerState::Running);
    Ok(found)
}

#[async_trait]
impl Step for NodeCredentials {
    fn title(&self) -> String {
        "password in every node".to_owned()
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let found = nodes(&*ctx.docker, &self.spec).await?;
        let Some(wanted) = passwords(ctx, &self.spec).await? else {
            return Ok(State::Missing);
        };
        let states = found.iter().map(|node| state(ctx, &node.name, &wanted));
        let states = try_join_all(states).await?;
        if states.iter().all(|state| *state == State::Missing) {
            return Ok(State::Missing);
        }
        let mut named = states.into_iter().zip(&found);
        let named = named.find_map(|(state, node)| match state {
            State::Missing => Some(format!("{} has none", node.name)),
            State::Drifted(why) => Some(why),
            State::Ready => None,
        });
        Ok(named.map_or(State::Ready, State::Drifted))
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let Some(wanted) = &passwords(ctx, &self.spec).await? else {
            bail!("a registry has no password yet");
        };
        let entries = wanted.iter().map(|(domain, user)| (domain.clone(), user));
        let entries = &entries.collect::<auths::Entries<'_>>();
        // What was proven with other credentials is proven no more.
        let notes = &asking(&self.spec).map(note).collect::<Vec<_>>();
        let found = nodes(&*ctx.docker, &self.spec).await?;
        try_join_all(found.iter().map(|Container { name: node, .. }| async move {
            if state(ctx, node, wanted).await? != State::Ready {
                Kubelet { ctx, node }.add(entries, notes).await?;
            }
            anyhow::Ok(())
        }))
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
