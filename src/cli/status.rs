//! `kindreg status`.

use anyhow::Result;
use clap::Args;

use super::invocation::Invocation;
use super::request::{self, Flags};
use super::session::Session;
use crate::ops::{self, Need, UNCHANGEABLE};
use crate::problem::Exit;
use crate::report::{Condition, NodeReport, RegistryReport, Report};
use crate::ui::Printer;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg status\n  \
    kindreg status --json | jq .state\n  \
    kindreg status --port 5002\n\n\
    The exit code is 0 if everything is ready, and 3 if not. `status` compares the cluster with kindreg.toml, \
    variables and flags, and where they set nothing with the last `kindreg up`. It changes nothing; `kindreg up` \
    repairs.")]
pub(super) struct Arguments {
    #[command(flatten)]
    flags: Flags,
}

pub(super) async fn run(invocation: &Invocation, arguments: &Arguments) -> Result<Exit> {
    let request = request::request(invocation, Some(&arguments.flags), Need::Everything)?;
    let session = Session::open(invocation).await?;
    let report = ops::status(&session.client, &request).await?;
    if invocation.shared.json {
        invocation.json(&report)?;
    } else {
        show(&invocation.printer, &report, &arguments.flags);
    }
    Ok(match report.state {
        Condition::Ready => Exit::Done,
        Condition::Drifted | Condition::Missing => Exit::NotReady,
    })
}

fn show(printer: &Printer, report: &Report, flags: &Flags) {
    let state = match report.state {
        Condition::Ready => "is ready",
        Condition::Drifted => "has drifted",
        Condition::Missing => "is incomplete",
    };
    printer.out(&format!("cluster {} {state}", report.cluster));
    for registry in &report.registries {
        show_registry(printer, registry);
    }
    for node in &report.nodes {
        show_node(printer, node);
    }
    for part in report
        .parts
        .iter()
        .filter(|part| part.state != Condition::Ready)
    {
        let line = part.state.line(&part.part, part.why.as_deref());
        printer.out(&format!("  {line}"));
    }
    if let Some(host) = &report.engine_host {
        printer.out(&format!(
            "  engine on {host}: localhost is there, and docker pushes from there"
        ));
    }
    for warning in &report.warnings {
        printer.out(&format!("  warning: {warning}"));
    }
    // What `up` can't change says itself how to go on.
    let is_repairable = report.parts.iter().all(|part| part.id != UNCHANGEABLE);
    if report.state != Condition::Ready && is_repairable {
        printer.out(&format!(
            "repair it: kindreg up --name {}{}",
            report.cluster,
            flags.typed()
        ));
    }
}

fn show_registry(printer: &Printer, registry: &RegistryReport) {
    let day = registry.expires.as_deref().and_then(|end| end.get(..10));
    let what = match registry.local {
        Some(_) => "certificate",
        None => "CA",
    };
    let certificate = match (day, registry.days_left) {
        (Some(day), Some(left)) => format!("{what} valid until {day} ({left} days)"),
        _ if registry.local.is_some() => "no certificate".to_owned(),
        _ => "public CA".to_owned(),
    };
    printer.out(&format!(
        "  registry {} ({}): {}; {certificate}",
        registry.name,
        registry.backend,
        registry.endpoints.join(", ")
    ));
}

fn show_node(printer: &Printer, node: &NodeReport) {
    let mut said = Vec::new();
    if node.running {
        said.push("running".to_owned());
    }
    if !node.proven.is_empty() {
        said.push(format!("proven with {}", node.proven.join(", ")));
    }
    said.extend(node.differs.iter().cloned());
    printer.out(&format!("  node {}: {}", node.name, said.join("; ")));
}
