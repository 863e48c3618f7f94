//! `kindreg down`.

use anyhow::Result;
use clap::Args;

use super::cluster;
use super::invocation::Invocation;
use super::session::Session;
use crate::hints;
use crate::ops;
use crate::problem::Exit;
use crate::report::Removed;
use crate::spec::ClusterName;
use crate::ui;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg down\n  \
    kindreg down --name workshop\n  \
    kindreg down --all\n\n\
    `down` needs no settings: the Docker engine has a record of each cluster. It keeps images that were pulled, and \
    the images in registries with keep_data = true.")]
pub(super) struct Arguments {
    /// Remove every kindreg cluster of the Docker engine
    #[arg(long, env = "KINDREG_ALL")]
    all: bool,
    /// Print what would be removed, and remove nothing
    #[arg(long, env = "KINDREG_DRY_RUN")]
    dry_run: bool,
}

pub(super) async fn run(invocation: &Invocation, arguments: &Arguments) -> Result<Exit> {
    let printer = &invocation.printer;
    if !arguments.all {
        let name = cluster(invocation)?;
        let session = Session::open(invocation).await?;
        return one(&session, invocation, arguments, &name).await;
    }
    let session = Session::open(invocation).await?;
    let clusters = ops::clusters(&session.client).await?;
    if clusters.is_empty() && !invocation.shared.json {
        printer.done("Nothing to do: no kindreg clusters found.");
    }
    let mut exit = Exit::Done;
    for name in clusters {
        match one(&session, invocation, arguments, &name).await {
            Ok(Exit::Done) => {}
            Ok(other) => return Ok(other),
            // One that can't be removed must not keep the others.
            Err(error) => {
                ui::failure(&printer.of_cluster(name.as_str()), &error);
                exit = hints::exit(&error);
            }
        }
    }
    Ok(exit)
}

async fn one(
    session: &Session<'_>,
    invocation: &Invocation,
    arguments: &Arguments,
    name: &ClusterName,
) -> Result<Exit> {
    if arguments.dry_run {
        let removals = ops::removals(&session.client, name).await?;
        if invocation.shared.json {
            invocation.json(&removals)?;
        } else if removals.removes.is_empty() {
            invocation.printer.done(&nothing(&removals.cluster));
        } else {
            invocation.printer.out(&removals.removes.join("\n"));
        }
        return Ok(Exit::Done);
    }
    let ended = ops::down(&session.client, name).await;
    session.progress.end();
    match ended {
        Ok(finished) => {
            show(invocation, &finished.report)?;
            finished.failure.map_or(Ok(Exit::Done), Err)
        }
        Err(error) => session.failed(
            error,
            "not everything was removed; run: kindreg down --name CLUSTER",
        ),
    }
}

fn nothing(cluster: &str) -> String {
    format!("Nothing to do: no kindreg cluster named {cluster}.")
}

fn show(invocation: &Invocation, removed: &Removed) -> Result<()> {
    if invocation.shared.json {
        return invocation.json(removed);
    }
    let Removed {
        cluster,
        changed,
        kept,
    } = removed;
    let except = if kept.is_empty() {
        ""
    } else {
        ", except what is kept"
    };
    invocation.printer.done(&if *changed {
        format!(
            "Removed: cluster {cluster} and everything that `kindreg up` created for it{except}."
        )
    } else {
        nothing(cluster)
    });
    for object in kept {
        invocation.printer.done(&format!("Kept: {object}"));
    }
    Ok(())
}
