//! `kindreg list`.

use anyhow::Result;
use clap::Args;

use super::invocation::Invocation;
use super::session::Session;
use crate::ops;
use crate::problem::Exit;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kindreg list\n  kindreg list --json | jq -r '.[].cluster'")]
pub(super) struct Arguments {}

pub(super) async fn run(invocation: &Invocation) -> Result<Exit> {
    let session = Session::open(invocation).await?;
    let entries = ops::list(&session.client).await?;
    if invocation.shared.json {
        invocation.json(&entries)?;
        return Ok(Exit::Done);
    }
    let printer = &invocation.printer;
    if entries.is_empty() {
        printer.done("No kindreg clusters found.");
    }
    for entry in entries {
        if let Some(problem) = entry.problem {
            printer.out(&format!("{:<20} {problem}", entry.cluster));
            continue;
        }
        printer.out(&format!(
            "{:<20} {} of {} nodes running   {}",
            entry.cluster,
            entry.running,
            entry.nodes,
            entry.registries.join(", ")
        ));
    }
    Ok(Exit::Done)
}
