//! `kindreg list`.

use anyhow::Result;
use clap::Args;

use super::session::Session;
use super::{Shared, json};
use crate::ops;
use crate::problem::Exit;
use crate::ui::Printer;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kindreg list\n  kindreg list --json | jq -r '.[].cluster'")]
pub(super) struct Arguments {}

pub(super) async fn run(shared: &Shared, printer: Printer) -> Result<Exit> {
    let session = Session::open(shared, printer).await?;
    let entries = ops::list(&session.client).await?;
    if shared.json {
        json(printer, &entries)?;
        return Ok(Exit::Done);
    }
    if entries.is_empty() {
        printer.out("No kindreg clusters found.");
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
