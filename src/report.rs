//! What is there and how it is, for `status` and `list`: data, not text. Reads only.

use anyhow::Result;
use serde::Serialize;

use crate::docker::{ContainerState, Docker};
use crate::engine;
use crate::layout::{self, Layout};
use crate::pki;
use crate::plan::{Verify, plan};
use crate::spec::{Authorities, ClusterName, Registry, Spec};
use crate::step::{Ctx, State};
use crate::steps::{self, Asked};

/// How a thing is. Part of the program's interface, as `--json` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// As it was asked for.
    Ready,
    /// There, and different.
    Drifted,
    /// Not there.
    Missing,
}

/// How a cluster with its registries is. Part of the program's interface, as `--json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Name of the cluster.
    pub cluster: String,
    /// Its context in the kubeconfig.
    pub context: String,
    /// The worst of all parts.
    pub state: Condition,
    /// Every part, in the order of the plan.
    pub parts: Vec<Part>,
    /// The registries.
    pub registries: Vec<RegistryReport>,
    /// The nodes.
    pub nodes: Vec<NodeReport>,
}

/// How one part is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What it is.
    pub part: String,
    /// How it is.
    pub state: Condition,
    /// What is different.
    pub why: Option<String>,
}

/// How one registry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegistryReport {
    /// Its name.
    pub name: String,
    /// The name that images give it.
    pub domain: String,
    /// The name by which the engine's host reaches it; none where somebody else runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// Whether somebody else runs it.
    pub external: bool,
    /// When its certificate ends, as RFC 3339; none while it has no whole one. Where somebody else runs it, when the CA
    /// ends that nodes trust for it; none where that is a public one.
    pub expires: Option<String>,
}

/// How one node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeReport {
    /// Its container's name.
    pub name: String,
    /// Whether its container runs.
    pub running: bool,
    /// Registries that it was proven with, as they are now.
    pub proven: Vec<String>,
}

/// Looks at everything that a record asks for.
///
/// # Errors
/// The engine does not answer, or a name is somebody else's.
pub async fn report(ctx: &Ctx, asked: &Asked) -> Result<Report> {
    let spec = &asked.current;
    let plan = plan(spec, &asked.earlier, Verify::EveryNode);
    let parts: Vec<Part> = engine::preview(&plan, ctx)
        .await?
        .into_iter()
        .map(|(step, state)| part(step.title(), state))
        .collect();
    let has = |state| parts.iter().any(|part| part.state == state);
    let state = if has(Condition::Missing) {
        Condition::Missing
    } else if has(Condition::Drifted) {
        Condition::Drifted
    } else {
        Condition::Ready
    };
    let reading = &ctx.reading();
    let mut registries = Vec::new();
    for registry in &spec.registries {
        registries.push(registry_report(reading, spec, registry).await?);
    }
    Ok(Report {
        cluster: spec.cluster.to_string(),
        context: Layout::of(&spec.cluster).context(),
        state,
        parts,
        registries,
        nodes: node_reports(reading, spec).await?,
    })
}

fn part(part: String, state: State) -> Part {
    let (state, why) = match state {
        State::Ready => (Condition::Ready, None),
        State::Missing => (Condition::Missing, None),
        State::Drifted(why) => (Condition::Drifted, Some(why)),
    };
    Part { part, state, why }
}

async fn registry_report(ctx: &Ctx, spec: &Spec, registry: &Registry) -> Result<RegistryReport> {
    let end = if let Some(external) = registry.external() {
        external.ca.as_ref().and_then(Authorities::first_to_end)
    } else {
        let identity = steps::identity(ctx, spec, registry).await?;
        identity.and_then(|identity| pki::inspect(&identity.leaf_pem).ok())
    };
    let format = &time::format_description::well_known::Rfc3339;
    Ok(RegistryReport {
        name: registry.name.to_string(),
        domain: registry.domain(),
        local: registry.is_ours().then(|| registry.local_domain()),
        external: !registry.is_ours(),
        expires: end.and_then(|last| last.not_after.format(format).ok()),
    })
}

async fn node_reports(ctx: &Ctx, spec: &Spec) -> Result<Vec<NodeReport>> {
    let found = steps::nodes(&*ctx.docker, spec).await?;
    let mut proofs = Vec::new();
    for registry in &spec.registries {
        let nodes = steps::proven_nodes(ctx, spec, registry).await?;
        proofs.push((registry.name.to_string(), nodes));
    }
    let report = |name: String| {
        let node = found.iter().find(|node| node.name == name);
        let with = proofs.iter().filter(|(_, nodes)| nodes.contains(&name));
        NodeReport {
            running: node.is_some_and(|node| node.state == ContainerState::Running),
            proven: with.map(|(registry, _)| registry.clone()).collect(),
            name,
        }
    };
    Ok(layout::nodes(spec).into_iter().map(report).collect())
}

/// One cluster of a list. Part of the program's interface, as `--json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Name of the cluster.
    pub cluster: String,
    /// The registries, as images name them.
    pub registries: Vec<String>,
    /// How many nodes were asked for.
    pub nodes: usize,
    /// How many of them run.
    pub running: usize,
    /// Why nothing more is known of it, where its record can't be read.
    pub problem: Option<String>,
}

/// Names of all clusters of kindreg's in an engine, whatever is left of them.
pub async fn clusters(docker: &dyn Docker) -> Result<Vec<ClusterName>> {
    let mut names: Vec<ClusterName> = docker
        .containers(layout::LABEL_MODE, "owned")
        .await?
        .iter()
        .filter_map(|record| record.labels.get(layout::LABEL_CLUSTER)?.parse().ok())
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// All clusters of kindreg's in an engine.
pub async fn list(docker: &dyn Docker) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for cluster in clusters(docker).await? {
        let asked = match steps::asked(docker, &cluster).await {
            Ok(Some(asked)) => asked,
            Ok(None) => continue,
            // One of another version must not hide the others.
            Err(error) => {
                entries.push(Entry {
                    cluster: cluster.to_string(),
                    registries: Vec::new(),
                    nodes: 0,
                    running: 0,
                    problem: Some(format!("{error:#}")),
                });
                continue;
            }
        };
        let nodes = steps::nodes(docker, &asked.current).await?;
        let runs = |node: &&crate::docker::Container| node.state == ContainerState::Running;
        entries.push(Entry {
            cluster: cluster.to_string(),
            registries: asked
                .current
                .registries
                .iter()
                .map(Registry::domain)
                .collect(),
            nodes: layout::nodes(&asked.current).len(),
            running: nodes.iter().filter(runs).count(),
            problem: None,
        });
    }
    Ok(entries)
}
