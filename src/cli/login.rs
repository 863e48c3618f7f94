//! `kindreg login` and `kindreg logout`.

use anyhow::Result;
use clap::Args;

use super::session::Session;
use super::{Shared, cluster, json};
use crate::ops;
use crate::problem::Exit;
use crate::report::{LoggedIn, Login};
use crate::ui::Printer;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg login && docker push localhost:5001/my/image\n  \
    kindreg login --rotate\n\n\
    The password goes where `docker login` puts it: to the credential helper that docker's config names, or into \
    the config. docker, crane, skopeo, oras and helm read it there. `kindreg down` logs out again.")]
pub(super) struct Arguments {
    /// Make a new password first, hand it to nodes, secrets and docker, and let the old one in no more
    #[arg(long, env = "KINDREG_ROTATE")]
    rotate: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kindreg logout\n\n\
    It forgets what `kindreg login` stored, and nothing else.")]
pub(super) struct LogoutArguments {}

pub(super) async fn run(shared: &Shared, arguments: &Arguments, printer: Printer) -> Result<Exit> {
    let name = cluster(shared)?;
    let session = Session::open(shared, printer).await?;
    if arguments.rotate {
        let ended = ops::rotate(&session.client, &name).await;
        session.progress.end();
        if let Err(error) = ended {
            let left = "both passwords are accepted; `kindreg login --rotate` goes on";
            return session.failed(error, left);
        }
    }
    let report = LoggedIn {
        rotated: arguments.rotate,
        ..ops::login(&session.client, &name).await?
    };
    if shared.json {
        json(printer, &report)?;
        return Ok(Exit::Done);
    }
    for domain in &report.externals {
        printer.say(&format!(
            "{domain} is external and keeps its own logins; run: docker login {domain}"
        ));
    }
    if report.logins.is_empty() {
        printer.out(&format!(
            "Nothing to do: no registry that cluster {name} runs asks for a password."
        ));
    }
    for Login {
        domain,
        user,
        place,
    } in &report.logins
    {
        printer.out(&format!("Logged in to {domain} as {user}; kept in {place}"));
    }
    Ok(Exit::Done)
}

/// `kindreg logout`.
pub(super) async fn logout(shared: &Shared, printer: Printer) -> Result<Exit> {
    let name = cluster(shared)?;
    let session = Session::open(shared, printer).await?;
    let report = ops::logout(&session.client, &name).await?;
    if shared.json {
        json(printer, &report)?;
        return Ok(Exit::Done);
    }
    if report.logouts.is_empty() {
        printer.out("Nothing to do: docker is not logged in with a password of this cluster.");
    }
    for domain in &report.logouts {
        printer.out(&format!("Logged out of {domain}"));
    }
    Ok(Exit::Done)
}
