//! Steps: registry credentials in every node, which serve all present and future namespaces and service accounts.

use anyhow::{Result, anyhow};
use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::kubelet::Kubelet;
use super::per_node::{PerNode, together};
use super::unless_removed;
use crate::credentials::{RegistryCredentials, auths};
use crate::docker::Container;
use crate::login;
use crate::observe::{Wanted, kubelet_configs, nodes, note_path, running_nodes, wanted};
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, Leaves, State, Step, StepId};

/// The step that writes kubelet's credentials on all nodes.
#[derive(Debug)]
pub struct NodeCredentials {
    /// The Spec that is wanted.
    pub spec: Spec,
}

/// Returns all domains (`host:port`) of the registries that need a password.
pub(crate) fn domains(spec: &Spec) -> Vec<String> {
    spec.authenticated().flat_map(Registry::domains).collect()
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
        Some((domain, _)) => State::Drifted(format!("other credentials for {domain}")),
    }
}

impl NodeCredentials {
    /// Returns the state of each node.
    pub(crate) async fn per_node(&self, ctx: &Ctx) -> Result<PerNode> {
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?;
        let configs = kubelet_configs(&*ctx.docker, &found).await?;
        let wanted = wanted(
            &*ctx.docker,
            &self.spec,
            &configs,
            &ctx.external_credentials,
        )
        .await?;
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
    fn id(&self) -> StepId {
        StepId::new("node.credentials")
    }

    fn title(&self) -> String {
        "node credentials".to_owned()
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        Ok(together(self.per_node(ctx).await?))
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?;
        let configs = kubelet_configs(&*ctx.docker, &found).await?;
        let wanted = &wanted(
            &*ctx.docker,
            &self.spec,
            &configs,
            &ctx.external_credentials,
        )
        .await?;
        if let Some((domain, _)) = wanted.iter().find(|(_, user)| user.is_none()) {
            let mut externals = self.spec.externals();
            return Err(match externals.find(|(one, _)| one.domain() == *domain) {
                Some((registry, external)) => login::missing(registry, external).into(),
                None => anyhow!("registry {domain} has no password yet"),
            });
        }
        let entries = wanted.iter();
        let entries = entries.filter_map(|(domain, user)| Some((domain.clone(), user.as_ref()?)));
        let entries = &entries.collect::<auths::Entries<'_>>();
        // A proof with other credentials is no longer valid.
        let notes = &self.spec.authenticated().map(note_path).collect::<Vec<_>>();
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
        let found = running_nodes(&*ctx.docker, &self.spec.cluster).await?;
        try_join_all(found.iter().map(|Container { name: node, .. }| async move {
            unless_removed((Kubelet { ctx, node }).revoke(domains).await)
        }))
        .await?;
        Ok(())
    }
}

/// The step that removes credentials of earlier settings from nodes.
#[derive(Debug)]
pub struct RetiredCredentials {
    /// The Spec that is wanted.
    pub spec: Spec,
    /// The domains (`host:port`) that no longer need a password.
    pub domains: Vec<String>,
}

#[async_trait]
impl Step for RetiredCredentials {
    fn id(&self) -> StepId {
        StepId::new("node.credentials").retired()
    }

    fn title(&self) -> String {
        format!("old node credentials ({})", self.domains.join(", "))
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        for Container { name: node, .. } in &nodes(&*ctx.docker, &self.spec.cluster).await? {
            if (Kubelet { ctx, node }).has(&self.domains).await? {
                return Ok(State::Drifted(format!("left on {node}")));
            }
        }
        Ok(State::Ready)
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let others = !domains(&self.spec).is_empty();
        for Container { name: node, .. } in &running_nodes(&*ctx.docker, &self.spec.cluster).await?
        {
            let kubelet = Kubelet { ctx, node };
            if others {
                kubelet.retire(&self.domains).await?;
            } else {
                kubelet.revoke(&self.domains).await?;
            }
        }
        Ok(())
    }
}
