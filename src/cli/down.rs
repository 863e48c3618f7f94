//! `kindreg down`.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::Shared;
use super::session::Session;
use crate::engine::{self, Outcome};
use crate::plan::undo_plan;
use crate::problem::Exit;
use crate::steps;
use crate::sweep;
use crate::ui::Printer;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg down\n  \
    kindreg down --name workshop\n\n\
    It needs no settings: what was asked for is noted in the engine. Images that were pulled stay.")]
pub(super) struct Arguments {
    /// Say what would be removed, and remove nothing
    #[arg(long, env = "KINDREG_DRY_RUN")]
    dry_run: bool,
}

pub(super) async fn run(shared: &Shared, arguments: &Arguments, printer: Printer) -> Result<Exit> {
    let session = Session::open(shared, printer).await?;
    let asked = steps::asked(&*session.docker, &shared.name).await?;
    // Without a record the things themselves say what they are.
    let spec = match asked {
        Some(asked) => Some((asked.current, asked.earlier)),
        None => sweep::guess(&*session.docker, &shared.name)
            .await?
            .map(|spec| (spec, Vec::new())),
    };
    let Some((spec, earlier)) = spec else {
        show(shared, printer, Outcome::Unchanged);
        return Ok(Exit::Done);
    };
    let plan = undo_plan(&spec, &earlier);
    if arguments.dry_run {
        for thing in sweep::list(&*session.docker, &shared.name).await? {
            printer.out(&thing.to_string());
        }
        return Ok(Exit::Done);
    }
    let lock = session.lock(&spec);
    let progress = &session.progress;
    let ended = engine::down(&plan, &session.ctx, &lock, &|event| progress.draw(&event)).await;
    progress.end();
    match ended {
        Ok(outcome) => {
            sweep::rest(&*session.docker, &shared.name).await?;
            show(shared, printer, outcome);
            Ok(Exit::Done)
        }
        Err(error) => session.failed(error, "not everything is removed; `kindreg down` goes on"),
    }
}

fn show(shared: &Shared, printer: Printer, outcome: Outcome) {
    if shared.json {
        let changed = outcome == Outcome::Changed;
        return printer.out(&json!({"cluster": shared.name, "changed": changed}).to_string());
    }
    printer.out(&match outcome {
        Outcome::Unchanged => format!(
            "Nothing to do: there is no cluster {} of kindreg's.",
            shared.name
        ),
        Outcome::Changed => format!(
            "Removed: cluster {} and everything that came with it.",
            shared.name
        ),
    });
}
