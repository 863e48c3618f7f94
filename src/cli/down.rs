//! `kindreg down`.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::session::Session;
use super::{Shared, login};
use crate::engine::{self, Outcome};
use crate::lock::ContainerLock;
use crate::plan::undo_plan;
use crate::problem::Exit;
use crate::report;
use crate::spec::ClusterName;
use crate::steps;
use crate::sweep;
use crate::ui::{self, Printer};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg down\n  \
    kindreg down --name workshop\n  \
    kindreg down --all\n\n\
    It needs no settings: what was asked for is noted in the engine. Images that were pulled stay, and so do the \
    data of registries with keep_data.")]
pub(super) struct Arguments {
    /// Every cluster of kindreg's in this engine
    #[arg(long, env = "KINDREG_ALL")]
    all: bool,
    /// Say what would be removed, and remove nothing
    #[arg(long, env = "KINDREG_DRY_RUN")]
    dry_run: bool,
}

pub(super) async fn run(shared: &Shared, arguments: &Arguments, printer: Printer) -> Result<Exit> {
    if !arguments.all {
        return one(shared, arguments, printer).await;
    }
    let clusters = report::clusters(&*Session::open(shared, printer).await?.docker).await?;
    if clusters.is_empty() && !shared.json {
        printer.out("Nothing to do: there is no cluster of kindreg's in this engine.");
    }
    let mut failed = None;
    for name in clusters {
        let shared = Shared {
            name,
            ..shared.clone()
        };
        match one(&shared, arguments, printer).await {
            Ok(Exit::Done) => {}
            Ok(other) => {
                if let Some(earlier) = failed {
                    ui::failure(printer, &earlier);
                }
                return Ok(other);
            }
            // One that can't be removed must not keep the others; the last error is the one that `run` shows.
            Err(error) => {
                if let Some(earlier) = failed.replace(error) {
                    ui::failure(printer, &earlier);
                }
            }
        }
    }
    failed.map_or(Ok(Exit::Done), Err)
}

async fn one(shared: &Shared, arguments: &Arguments, printer: Printer) -> Result<Exit> {
    let session = Session::open(shared, printer).await?;
    let asked = steps::asked(&*session.docker, &shared.name).await?;
    // Without a record the things themselves say what they are.
    let found = match asked {
        Some(asked) => Some((asked.current, asked.earlier)),
        None => sweep::guess(&*session.docker, &shared.name)
            .await?
            .map(|spec| (spec, Vec::new())),
    };
    let Some((spec, earlier)) = found else {
        show(shared, &shared.name, printer, Outcome::Unchanged);
        return Ok(Exit::Done);
    };
    if arguments.dry_run {
        let things = sweep::list(&*session.docker, &shared.name).await?;
        let things: Vec<String> = things.iter().map(ToString::to_string).collect();
        if shared.json {
            let product = json!({"cluster": shared.name, "removes": things});
            printer.out(&product.to_string());
        } else if !things.is_empty() {
            printer.out(&things.join("\n"));
        }
        return Ok(Exit::Done);
    }
    let plan = undo_plan(&spec, &earlier);
    // First: what docker keeps is taken away only if it is what the registry still has, and a run that is killed
    // later could not tell any more.
    let all = earlier.iter().chain([&spec]);
    let forgotten = login::forget(&login::logins(&session.ctx, all).await).await;
    let progress = &session.progress;
    let ended = async {
        let outcome = engine::down(&plan, &session.ctx, &ContainerLock::of(&spec), &|event| {
            progress.draw(&event);
        })
        .await?;
        sweep::rest(&*session.docker, &spec).await?;
        anyhow::Ok(outcome)
    };
    let ended = ended.await;
    progress.end();
    match ended {
        // Whoever was not logged out can't be later: what it was compared with is gone. So this must not be overlooked.
        Ok(outcome) => {
            show(shared, &shared.name, printer, outcome);
            forgotten.map(|_| Exit::Done)
        }
        Err(error) => {
            if let Err(earlier) = &forgotten {
                ui::failure(printer, earlier);
            }
            session.failed(error, "not everything is removed; `kindreg down` goes on")
        }
    }
}

fn show(shared: &Shared, cluster: &ClusterName, printer: Printer, outcome: Outcome) {
    if shared.json {
        let changed = outcome == Outcome::Changed;
        return printer.out(&json!({"cluster": cluster, "changed": changed}).to_string());
    }
    printer.out(&match outcome {
        Outcome::Unchanged => format!("Nothing to do: there is no cluster {cluster} of kindreg's."),
        Outcome::Changed => format!("Removed: cluster {cluster} and everything that came with it."),
    });
}
