//! How everything is that a record asks for, for `status`. Reads only.

use anyhow::Result;
use time::OffsetDateTime;

use super::{Condition, NodeReport, Part, RegistryReport, Report, backend, local};
use crate::docker::ContainerState;
use crate::engine;
use crate::layout::Layout;
use crate::pki;
use crate::plan::{Verify, plan};
use crate::render;
use crate::spec::{Authorities, Registry, Spec};
use crate::step::Ctx;
use crate::steps::{self, Asked, PerNode};

/// Looks at everything that is there, as a cluster that is to be as `wanted`.
///
/// # Errors
/// The engine does not answer, or a name is somebody else's.
pub async fn report(ctx: &Ctx, asked: &Asked, wanted: &Spec) -> Result<Report> {
    let current = &asked.current;
    let unchangeable = asked.unchangeable(&*ctx.docker, wanted).await?;
    // What no `up` can do is told, and the rest is compared with what is.
    let spec = if unchangeable.is_some() {
        current
    } else {
        wanted
    };
    let plan = plan(spec, &asked.replaced_by(spec), Verify::EveryNode);
    let mut parts: Vec<Part> = engine::preview(&plan, ctx)
        .await?
        .into_iter()
        .map(|(step, state)| Part {
            part: step.title(),
            state: Condition::from(&state),
            why: state.why(),
        })
        .collect();
    if let Some(why) = unchangeable {
        let anew = format!("make it anew: kindreg down --name {}", spec.cluster);
        let part = Part {
            part: format!("cluster {}", spec.cluster),
            state: Condition::Drifted,
            why: Some(format!("{why}; {anew}")),
        };
        parts.insert(0, part);
    }
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
    for registry in &current.registries {
        registries.push(registry_report(reading, current, registry).await?);
    }
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        cluster: spec.cluster.to_string(),
        context: Layout::of(&spec.cluster).context(),
        state,
        parts,
        registries,
        nodes: node_reports(reading, spec).await?,
    })
}

async fn registry_report(ctx: &Ctx, spec: &Spec, registry: &Registry) -> Result<RegistryReport> {
    let last = if let Some(external) = registry.external() {
        external.ca.as_ref().and_then(Authorities::first_to_end)
    } else {
        let identity = steps::identity(ctx, spec, registry).await?;
        identity.and_then(|identity| pki::inspect(&identity.leaf_pem).ok())
    };
    let end = last.map(|last| last.not_after);
    let format = &time::format_description::well_known::Rfc3339;
    Ok(RegistryReport {
        name: registry.name.to_string(),
        backend: backend(registry),
        domain: registry.domain(),
        local: local(registry),
        endpoints: registry.domains(),
        expires: end.and_then(|end| end.format(format).ok()),
        days_left: end.map(|end| (end - OffsetDateTime::now_utc()).whole_days()),
    })
}

/// What steps find on one node: what it is about, and how it is there.
type Aspect = (&'static str, Option<PerNode>);

async fn node_reports(ctx: &Ctx, spec: &Spec) -> Result<Vec<NodeReport>> {
    let found = steps::nodes(&*ctx.docker, spec).await?;
    let trust = steps::NodeTrust { spec: spec.clone() };
    let passwords = steps::NodeCredentials { spec: spec.clone() };
    let config = steps::ConfigPath { spec: spec.clone() };
    let hosts = steps::NodeHosts { spec: spec.clone() };
    let addresses = if render::node_hosts(spec).is_empty() {
        None
    } else {
        Some(hosts.per_node(ctx).await?)
    };
    let aspects: [Aspect; 4] = [
        ("containerd", Some(config.per_node(ctx).await?)),
        ("trust", trust.per_node(ctx).await?),
        ("password", Some(passwords.per_node(ctx).await?)),
        ("address", addresses),
    ];
    let mut proofs = Vec::new();
    for registry in &spec.registries {
        let nodes = steps::proven_nodes(ctx, spec, registry).await?;
        proofs.push((registry.name.to_string(), nodes));
    }
    let report = |name: String| {
        let node = found.iter().find(|node| node.name == name);
        let state = |aspect: &Aspect| {
            let mut nodes = aspect.1.iter().flatten();
            Some(nodes.find(|(node, _)| *node == name)?.1.clone())
        };
        let running = node.is_some_and(|node| node.state == ContainerState::Running);
        let mut differs = Vec::new();
        if node.is_none() {
            differs.push("it is gone".to_owned());
        } else if !running {
            differs.push("it does not run".to_owned());
        }
        let said = |aspect: &Aspect| {
            Some(format!(
                "{}: {}",
                aspect.0,
                steps::difference(state(aspect)?)?
            ))
        };
        differs.extend(aspects.iter().filter_map(said));
        let (with, without): (Vec<_>, Vec<_>) =
            proofs.iter().partition(|(_, nodes)| nodes.contains(&name));
        differs.extend(
            without
                .iter()
                .map(|(registry, _)| format!("not proven with {registry}")),
        );
        NodeReport {
            running,
            trust: state(&aspects[1]).as_ref().map(Condition::from),
            proven: with
                .into_iter()
                .map(|(registry, _)| registry.clone())
                .collect(),
            differs,
            name,
        }
    };
    Ok(steps::node_names(spec, &found)
        .into_iter()
        .map(report)
        .collect())
}
