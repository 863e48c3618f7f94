//! `status`: compares what is there with what is asked for. Reads only.

use anyhow::Result;
use time::OffsetDateTime;

use super::credentials::take_along;
use super::host_proof::host_warnings;
use super::ports::Ports;
use super::settings::over;
use super::{Client, certificates, existing};
use crate::docker::ContainerState;
use crate::engine;
use crate::layout::Layout;
use crate::observe::{RecordedSpec, identity, node_names, nodes, proven_nodes};
use crate::pki;
use crate::plan::{self, Verify};
use crate::render;
use crate::report::{Condition, NodeReport, Part, RegistryReport, Report};
use crate::spec::request::Request;
use crate::spec::{Authorities, Registry, Spec, Trust};
use crate::step::Ctx;
use crate::steps::nodes::{
    ConfigPath, NodeCredentials, NodeHosts, NodeTrust, PerNode, RegistryNames, difference,
};

/// Identity of the part that stands for settings that `up` can't change.
pub(crate) const UNCHANGEABLE: &str = "cluster";

/// Compares what is there with the request, and where that says nothing with the last `up`.
///
/// # Errors
/// There is no such cluster, the engine does not answer, or something else has one of our names.
pub async fn status(client: &Client, request: &Request) -> Result<Report> {
    let cluster = request.cluster.value.clone();
    let recorded = existing(client, &cluster).await?;
    let request = over(request, &recorded.current)?;
    let mut ports = Ports::recorded(&request, Some(&recorded.current));
    let wanted = request.resolve(&mut |name| ports.free(name))?;
    let mut ctx = client.ctx(&cluster);
    take_along(&mut ctx, client, &wanted)?;
    let report = report(&ctx, &recorded, &wanted).await?;
    Ok(Report {
        engine_host: client.engine_host(),
        ..report
    })
}

async fn report(ctx: &Ctx, recorded: &RecordedSpec, wanted: &Spec) -> Result<Report> {
    let current = &recorded.current;
    let unchangeable = recorded.unchangeable(&*ctx.docker, wanted).await?;
    // If `up` can't do what is asked for, the report says so, and compares the rest with the record.
    let spec = if unchangeable.is_some() {
        current
    } else {
        wanted
    };
    let plan = plan::up(spec, &recorded.replaced_by(spec), Verify::EveryNode);
    let states = engine::preview(&plan, ctx).await?.into_iter();
    let mut parts: Vec<Part> = states
        .map(|(step, state)| Part {
            id: step.id().to_string(),
            part: step.title(),
            state: Condition::from(&state),
            why: state.why(),
        })
        .collect();
    if let Some(why) = unchangeable {
        let anew = format!("recreate it: kindreg down --name {}", spec.cluster);
        let part = Part {
            id: UNCHANGEABLE.to_owned(),
            part: format!("cluster {}", spec.cluster),
            state: Condition::Drifted,
            why: Some(format!("{why}; {anew}")),
        };
        parts.insert(0, part);
    }
    let reading = &ctx.reading();
    let mut registries = Vec::new();
    for registry in &current.registries {
        registries.push(registry_report(reading, current, registry).await?);
    }
    let (nodes, mut warnings, ends) = tokio::try_join!(
        node_reports(reading, spec),
        host_warnings(&*reading.docker, current),
        certificates::warnings(&*reading.docker, current)
    )?;
    warnings.extend(ends);
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        cluster: spec.cluster.to_string(),
        context: Layout::of(&spec.cluster).context(),
        state: worst(&parts),
        parts,
        registries,
        nodes,
        warnings,
        engine_host: None,
    })
}

fn worst(parts: &[Part]) -> Condition {
    let has = |state| parts.iter().any(|part| part.state == state);
    if has(Condition::Missing) {
        Condition::Missing
    } else if has(Condition::Drifted) {
        Condition::Drifted
    } else {
        Condition::Ready
    }
}

async fn registry_report(ctx: &Ctx, spec: &Spec, registry: &Registry) -> Result<RegistryReport> {
    let last = match registry.trust() {
        Trust::Public => None,
        Trust::Given(ca) => Authorities::first_to_expire(ca),
        Trust::Stored => {
            let identity = identity(&*ctx.docker, &spec.cluster, registry).await?;
            identity.and_then(|identity| pki::inspect(&identity.leaf_pem).ok())
        }
    };
    let end = last.map(|last| last.not_after);
    let format = &time::format_description::well_known::Rfc3339;
    Ok(RegistryReport {
        name: registry.name.to_string(),
        backend: registry.backend.name(),
        domain: registry.domain(),
        local: registry.local_domain(),
        endpoints: registry.domains(),
        expires: end.and_then(|end| end.format(format).ok()),
        days_left: end.map(|end| (end - OffsetDateTime::now_utc()).whole_days()),
    })
}

/// One thing that steps check on every node: its name, and its state on each.
type Aspect = (&'static str, Option<PerNode>);

async fn node_reports(ctx: &Ctx, spec: &Spec) -> Result<Vec<NodeReport>> {
    let found = nodes(&*ctx.docker, &spec.cluster).await?;
    let trust = NodeTrust { spec: spec.clone() };
    let passwords = NodeCredentials { spec: spec.clone() };
    let config = ConfigPath { spec: spec.clone() };
    let hosts = NodeHosts { spec: spec.clone() };
    let addresses = if render::node_hosts(spec).is_empty() {
        None
    } else {
        Some(hosts.per_node(ctx).await?)
    };
    let names = RegistryNames { spec: spec.clone() };
    let aspects: [Aspect; 5] = [
        ("containerd", Some(config.per_node(ctx).await?)),
        ("trust", trust.per_node(ctx).await?),
        ("password", Some(passwords.per_node(ctx).await?)),
        ("address", addresses),
        ("names", Some(names.per_node(ctx).await?)),
    ];
    let mut proofs = Vec::new();
    for registry in &spec.registries {
        let nodes = proven_nodes(&*ctx.docker, spec, registry).await?;
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
            differs.push("missing".to_owned());
        } else if !running {
            differs.push("not running".to_owned());
        }
        let said = |aspect: &Aspect| Some(format!("{}: {}", aspect.0, difference(state(aspect)?)?));
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
    Ok(node_names(spec, &found).into_iter().map(report).collect())
}
