//! `kindreg login` and `kindreg logout`.

use anyhow::Result;
use clap::Args;

use super::cluster;
use super::invocation::Invocation;
use super::session::Session;
use crate::ops;
use crate::problem::{Exit, Problem};
use crate::report::{LoggedIn, Login};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg login && docker push localhost:5001/my/image\n  \
    kindreg login --rotate\n\n\
    The password is stored where `docker login` stores it: by the credential helper in docker's config, or in the \
    config itself. docker, crane, skopeo, oras and helm read it there. `kindreg down` logs out again.")]
pub(super) struct Arguments {
    /// Replace the password first: give a new one to nodes, secrets and docker, then stop accepting the old one
    #[arg(long, env = "KINDREG_ROTATE")]
    rotate: bool,
    /// Print the steps of a rotation without running them
    #[arg(long, env = "KINDREG_DRY_RUN")]
    dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kindreg logout\n\n\
    `logout` removes only what `kindreg login` stored.")]
pub(super) struct LogoutArguments {}

pub(super) async fn run(invocation: &Invocation, arguments: &Arguments) -> Result<Exit> {
    let name = cluster(invocation)?;
    let session = Session::open(invocation).await?;
    if arguments.dry_run {
        if !arguments.rotate {
            let hint = format!("run: kindreg login --rotate --dry-run --name {name}");
            return Err(Problem::usage("`login --dry-run` needs --rotate", hint).into());
        }
        let preview = ops::preview_rotation(&session.client, &name).await?;
        return invocation.preview(&preview);
    }
    if arguments.rotate {
        let ended = ops::rotate(&session.client, &name).await;
        session.progress.end();
        if let Err(error) = ended {
            let left = "the old and the new password both work; run: kindreg login --rotate --name CLUSTER";
            return session.failed(error, left);
        }
    }
    let report = LoggedIn {
        rotated: arguments.rotate,
        ..ops::login(&session.client, &name).await?
    };
    if invocation.shared.json {
        invocation.json(&report)?;
        return Ok(Exit::Done);
    }
    let printer = &invocation.printer;
    for domain in &report.externals {
        printer.say(&format!(
            "{domain} is an external registry; to log in to it, run: docker login {domain}"
        ));
    }
    if report.logins.is_empty() {
        printer.done(&format!(
            "Nothing to do: kindreg runs no registry with a password in cluster {name}."
        ));
    }
    for Login {
        domain,
        user,
        place,
    } in &report.logins
    {
        printer.done(&format!(
            "Logged in to {domain} as {user}; the password is in {place}"
        ));
    }
    if let Some(host) = report
        .engine_host
        .as_ref()
        .filter(|_| !report.logins.is_empty())
    {
        printer.out(&format!(
            "localhost is {host}, the engine's host: docker pushes from there"
        ));
    }
    Ok(Exit::Done)
}

/// Runs `kindreg logout`.
pub(super) async fn logout(invocation: &Invocation) -> Result<Exit> {
    let name = cluster(invocation)?;
    let session = Session::open(invocation).await?;
    let report = ops::logout(&session.client, &name).await?;
    if invocation.shared.json {
        invocation.json(&report)?;
        return Ok(Exit::Done);
    }
    let printer = &invocation.printer;
    if report.logouts.is_empty() {
        printer.done(&format!(
            "Nothing to do: docker has no login for cluster {name}."
        ));
    }
    for domain in &report.logouts {
        printer.done(&format!("Logged out of {domain}"));
    }
    Ok(Exit::Done)
}
