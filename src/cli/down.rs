//! `kindreg down`.

use anyhow::Result;
use clap::Args;

use super::session::Session;
use super::{Shared, cluster, json};
use crate::ops;
use crate::problem::Exit;
use crate::report::Removed;
use crate::spec::ClusterName;
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
        let name = cluster(shared)?;
        let session = Session::open(shared, printer).await?;
        return one(&session, shared, arguments, &name).await;
    }
    let session = Session::open(shared, printer).await?;
    let clusters = ops::clusters(&session.client).await?;
    if clusters.is_empty() && !shared.json {
        printer.out("Nothing to do: no kindreg clusters found.");
    }
    let mut failed = None;
    for name in clusters {
        match one(&session, shared, arguments, &name).await {
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

async fn one(
    session: &Session,
    shared: &Shared,
    arguments: &Arguments,
    name: &ClusterName,
) -> Result<Exit> {
    let printer = session.printer;
    if arguments.dry_run {
        let removals = ops::removals(&session.client, name).await?;
        if shared.json {
            json(printer, &removals)?;
        } else if !removals.removes.is_empty() {
            printer.out(&removals.removes.join("\n"));
        }
        return Ok(Exit::Done);
    }
    let ended = ops::down(&session.client, name).await;
    session.progress.end();
    match ended {
        Ok(finished) => {
            show(shared, printer, &finished.report)?;
            finished.failure.map_or(Ok(Exit::Done), Err)
        }
        Err(error) => session.failed(error, "not everything is removed; `kindreg down` goes on"),
    }
}

fn show(shared: &Shared, printer: Printer, removed: &Removed) -> Result<()> {
    if shared.json {
        return json(printer, removed);
    }
    let Removed {
        cluster,
        changed,
        kept,
    } = removed;
    printer.out(&if *changed {
        format!("Removed: cluster {cluster} and everything that came with it.")
    } else {
        format!("Nothing to do: no kindreg cluster named {cluster}.")
    });
    for object in kept {
        printer.out(&format!("Kept: {object}"));
    }
    Ok(())
}
