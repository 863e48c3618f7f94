//! `kindreg list`.

use anyhow::Result;
use clap::Args;

use super::Shared;
use super::session::Session;
use crate::problem::Exit;
use crate::report;
use crate::ui::Printer;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kindreg list\n  kindreg list --json | jq -r '.[].cluster'")]
pub(super) struct Arguments {}

pub(super) async fn run(shared: &Shared, _: &Arguments, printer: Printer) -> Result<Exit> {
    let session = Session::open(shared, printer).await?;
    let entries = report::list(&*session.docker).await?;
    if shared.json {
        printer.out(&serde_json::to_string(&entries)?);
        return Ok(Exit::Done);
    }
    if entries.is_empty() {
        printer.out("There is no cluster of kindreg's in this engine.");
    }
    for entry in entries {
        if let Some(problem) = entry.problem {
            printer.out(&format!("{:<20} {problem}", entry.cluster));
            continue;
        }
        printer.out(&format!(
            "{:<20} {} of {} nodes run   {}",
            entry.cluster,
            entry.running,
            entry.nodes,
            entry.registries.join(", ")
        ));
    }
    Ok(Exit::Done)
}
