//! `kindreg status`.

use anyhow::Result;
use clap::Args;

use super::session::Session;
use super::{Shared, credentials};
use crate::problem::{Exit, Problem};
use crate::report::{Condition, Report, report};
use crate::steps;
use crate::ui::Printer;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg status\n  \
    kindreg status --json | jq .state\n\n\
    Exit code 0 where everything is ready, 3 otherwise. It changes nothing; `kindreg up` repairs.")]
pub(super) struct Arguments {}

pub(super) async fn run(shared: &Shared, _: &Arguments, printer: Printer) -> Result<Exit> {
    let mut session = Session::open(shared, printer).await?;
    let asked = steps::asked(&*session.docker, &shared.name).await?;
    let asked = asked.ok_or_else(|| nothing(shared))?;
    session.ctx.external_credentials = credentials::at_hand(&asked.current)?;
    let report = report(&session.ctx, &asked).await?;
    if shared.json {
        printer.out(&serde_json::to_string(&report)?);
    } else {
        show(printer, &report);
    }
    Ok(match report.state {
        Condition::Ready => Exit::Done,
        Condition::Drifted | Condition::Missing => Exit::NotReady,
    })
}

/// There is no such cluster.
pub(super) fn nothing(shared: &Shared) -> Problem {
    Problem::not_ready(
        format!("there is no cluster {} of kindreg's", shared.name),
        format!(
            "make it with kindreg up --name {}, or see which there are: kindreg list",
            shared.name
        ),
    )
}

fn word(state: Condition) -> &'static str {
    match state {
        Condition::Ready => "ready",
        Condition::Drifted => "drifted",
        Condition::Missing => "missing",
    }
}

fn show(printer: Printer, report: &Report) {
    printer.out(&format!(
        "cluster {} is {}",
        report.cluster,
        word(report.state)
    ));
    for registry in &report.registries {
        let expires = registry.expires.as_deref();
        let told = match (&registry.local, expires) {
            (Some(local), _) => {
                let expires = expires.unwrap_or("never issued");
                format!("and {local}, certificate until {expires}")
            }
            (None, Some(expires)) => format!("(external), its CA until {expires}"),
            (None, None) => "(external), trusted by a public CA".to_owned(),
        };
        printer.out(&format!(
            "  registry {}: {} {told}",
            registry.name, registry.domain
        ));
    }
    for node in &report.nodes {
        let runs = if node.running { "runs" } else { "does not run" };
        let proven = if node.proven.is_empty() {
            "not proven".to_owned()
        } else {
            format!("proven with {}", node.proven.join(", "))
        };
        printer.out(&format!("  node {}: {runs}, {proven}", node.name));
    }
    for part in report
        .parts
        .iter()
        .filter(|part| part.state != Condition::Ready)
    {
        let why = part
            .why
            .as_ref()
            .map(|why| format!(": {why}"))
            .unwrap_or_default();
        printer.out(&format!("  {:<8} {}{why}", word(part.state), part.part));
    }
    if report.state != Condition::Ready {
        printer.out(&format!("repair it: kindreg up --name {}", report.cluster));
    }
}
