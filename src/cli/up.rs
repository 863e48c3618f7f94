//! `kindreg up`.

use anyhow::Result;
use clap::Args;

use super::credentials::PasswordFlags;
use super::request::{self, Flags};
use super::session::Session;
use super::{Shared, json};
use crate::ops::{self, AfterFailure, Consent, Need, UpOptions, Verify};
use crate::problem::Exit;
use crate::report::{Endpoint, Made, Planned, Preview, Pull};
use crate::ui::Printer;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg up\n  \
    kindreg up --workers 2 --host nexus.test --port 8443\n  \
    kindreg up --name second --port auto\n  \
    kindreg up --config deploy/kindreg.toml\n  \
    kindreg up --dry-run\n\n\
    A second `up` changes nothing, and repairs what is no longer as it should be.")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a flag of the command line is there or it is not"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) flags: Flags,
    #[command(flatten)]
    own: PasswordFlags,
    /// End before the proof
    #[arg(long, env = "KINDREG_NO_VERIFY")]
    no_verify: bool,
    /// Leave a failed run's work where it is, to be looked at
    #[arg(long, env = "KINDREG_KEEP_ON_FAILURE")]
    keep_on_failure: bool,
    /// Go on without asking: trust names outside .test, .localhost, .internal and .local on the engine's host, and what
    /// kindreg.toml says of external registries, of upstream CAs and of credentials for upstreams
    #[arg(long, short, env = "KINDREG_YES")]
    yes: bool,
    /// Say what would be done, and do nothing
    #[arg(long, env = "KINDREG_DRY_RUN")]
    dry_run: bool,
}

impl Arguments {
    const fn verify(&self) -> Verify {
        if self.no_verify {
            Verify::Nothing
        } else {
            Verify::EveryNode
        }
    }

    fn options(&self) -> Result<UpOptions> {
        Ok(UpOptions {
            verify: self.verify(),
            after_failure: if self.keep_on_failure {
                AfterFailure::Keep
            } else {
                AfterFailure::RollBack
            },
            consent: if self.yes {
                Consent::Given
            } else {
                Consent::Ask
            },
            password: self.own.read()?,
        })
    }
}

pub(super) async fn run(shared: &Shared, arguments: &Arguments, printer: Printer) -> Result<Exit> {
    let request = request::request(shared, Some(&arguments.flags), Need::Everything)?;
    let options = arguments.options()?;
    let session = Session::open(shared, printer).await?;
    if arguments.dry_run {
        let preview = ops::preview(&session.client, &request, options.verify).await?;
        show_preview(shared, printer, &preview)?;
        return Ok(Exit::Done);
    }
    let ended = ops::up(&session.client, &request, &options, &printer).await;
    session.progress.end();
    match ended {
        Ok(finished) => {
            show(shared, printer, &finished.report, options.verify)?;
            finished.failure.map_or(Ok(Exit::Done), Err)
        }
        Err(error) => session.failed(
            error,
            match options.after_failure {
                AfterFailure::RollBack => "rolled back",
                AfterFailure::Keep => "what this run made was kept; `kindreg down` removes it",
            },
        ),
    }
}

fn show_preview(shared: &Shared, printer: Printer, preview: &Preview) -> Result<()> {
    if shared.json {
        return json(printer, preview);
    }
    for Planned {
        step, state, why, ..
    } in &preview.steps
    {
        printer.out(&state.line(step, why.as_deref()));
    }
    Ok(())
}

fn show(shared: &Shared, printer: Printer, made: &Made, verify: Verify) -> Result<()> {
    if shared.json {
        return json(printer, made);
    }
    let Made {
        cluster,
        nodes,
        registries,
        ..
    } = made;
    let plural = if *nodes == 1 { "" } else { "s" };
    let domains: Vec<&str> = registries.iter().map(|one| one.domain.as_str()).collect();
    let domains = domains.join(", ");
    printer.out(&match (made.changed, verify) {
        (false, _) => {
            format!("Nothing to do: cluster {cluster} and {domains} are as they should be.")
        }
        (true, Verify::EveryNode) => {
            let proven = proven(registries);
            format!("Ready: {nodes} node{plural} of cluster {cluster} {proven} over verified TLS.")
        }
        (true, Verify::Nothing) => format!(
            "Done: cluster {cluster} with {nodes} node{plural} and {domains}; nothing was proven."
        ),
    });
    if made.changed
        && let Some(next) = next(made)
    {
        printer.out(&next);
    }
    Ok(())
}

/// What to type next.
fn next(made: &Made) -> Option<String> {
    let Made {
        cluster, context, ..
    } = made;
    let announced = made.announced.as_ref()?;
    let registry = made.registries.iter().find(|one| one.name == *announced)?;
    let (domain, local) = (&registry.domain, registry.local.as_ref()?);
    let login = if registry.authenticated {
        format!("kindreg login --name {cluster}\n  ")
    } else {
        String::new()
    };
    Some(format!(
        "\nWhat to type next:\n  {login}\
         docker tag IMAGE {local}/IMAGE && docker push {local}/IMAGE\n  \
         kubectl --context {context} run demo --image={domain}/IMAGE    (or {local}/IMAGE)\n  \
         kindreg down --name {cluster}"
    ))
}

/// What nodes did with which registries: an external one without an image for the proof only had to answer.
fn proven(registries: &[Endpoint]) -> String {
    let named = |pull: Pull| {
        let all = registries.iter().filter(|one| one.proof == pull);
        let all: Vec<&str> = all.map(|one| one.domain.as_str()).collect();
        all.join(", ")
    };
    match (named(Pull::Proven), named(Pull::Answered)) {
        (pulled, none) if none.is_empty() => format!("pulled from {pulled}"),
        (none, answered) if none.is_empty() => format!("had an answer of {answered}"),
        (pulled, answered) => format!("pulled from {pulled}, had an answer of {answered}"),
    }
}
