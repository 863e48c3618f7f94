//! `kindreg up`.

use anyhow::Result;
use clap::Args;

use super::credentials::PasswordFlags;
use super::invocation::Invocation;
use super::request::{self, Flags};
use super::session::Session;
use crate::ops::{self, AfterFailure, Consent, Need, UpOptions, Verify};
use crate::problem::Exit;
use crate::report::{Endpoint, Made, Pull};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg up\n  \
    kindreg up --workers 2 --host nexus.test --port 8443\n  \
    kindreg up --name second --port auto\n  \
    kindreg up --config deploy/kindreg.toml\n  \
    kindreg up --dry-run\n\n\
    A second `up` repairs what has drifted, and changes nothing else.")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    own: PasswordFlags,
    /// Skip the proof that every node can pull
    #[arg(long, env = "KINDREG_NO_VERIFY")]
    no_verify: bool,
    /// Don't roll back after a failure, so that you can look at what is there
    #[arg(long, env = "KINDREG_KEEP_ON_FAILURE")]
    keep_on_failure: bool,
    /// Answer yes to every question: about images and a kind configuration in a kindreg.toml that was not named with
    /// --config, about CAs for host names outside .test and .localhost, about external registries, and about
    /// credentials for the upstream of a cache
    #[arg(long, short, env = "KINDREG_YES")]
    yes: bool,
    /// Print what would be done, and do nothing
    #[arg(long, env = "KINDREG_DRY_RUN")]
    dry_run: bool,
    // Last, as clap puts what follows under its heading.
    #[command(flatten)]
    flags: Flags,
}

impl Arguments {
    const fn verify(&self) -> Verify {
        if self.no_verify {
            Verify::Nothing
        } else {
            Verify::EveryNode
        }
    }

    fn options(&self, invocation: &Invocation) -> Result<UpOptions> {
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
            password: self.own.read(invocation)?,
        })
    }
}

pub(super) async fn run(invocation: &Invocation, arguments: &Arguments) -> Result<Exit> {
    let request = request::request(invocation, Some(&arguments.flags), Need::Everything)?;
    let options = arguments.options(invocation)?;
    let session = Session::open(invocation).await?;
    if arguments.dry_run {
        let preview = ops::preview(&session.client, &request, options.verify).await?;
        return invocation.preview(&preview);
    }
    let ended = ops::up(&session.client, &request, &options, &invocation.printer).await;
    session.progress.end();
    match ended {
        Ok(finished) => {
            show(invocation, &finished.report, options.verify)?;
            finished.failure.map_or(Ok(Exit::Done), Err)
        }
        Err(error) => session.failed(
            error,
            match options.after_failure {
                AfterFailure::RollBack => "rolled back",
                AfterFailure::Keep => "kept what this run created; remove it with `kindreg down`",
            },
        ),
    }
}

fn show(invocation: &Invocation, made: &Made, verify: Verify) -> Result<()> {
    if invocation.shared.json {
        return invocation.json(made);
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
    invocation.printer.out(&match (made.changed, verify) {
        (false, _) => {
            format!("Nothing to do: cluster {cluster} and {domains} are ready.")
        }
        (true, Verify::EveryNode) => {
            let proven = proven(registries);
            format!("Ready: {nodes} node{plural} of cluster {cluster} {proven} over verified TLS.")
        }
        (true, Verify::Nothing) => format!(
            "Done: cluster {cluster} with {nodes} node{plural} and {domains}. Not verified; run: kindreg verify --name {cluster}"
        ),
    });
    if made.changed
        && let Some(next) = next(made)
    {
        invocation.printer.out(&next);
    }
    Ok(())
}

/// Returns the commands to type next.
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
        "\nNext steps:\n  {login}\
         docker tag IMAGE {local}/IMAGE && docker push {local}/IMAGE\n  \
         kubectl --context {context} run demo --image={domain}/IMAGE    (or {local}/IMAGE)\n  \
         kindreg down --name {cluster}"
    ))
}

/// Returns what nodes did with which registries: an external one without an image for the proof only had to answer.
fn proven(registries: &[Endpoint]) -> String {
    let named = |pull: Pull| {
        let all = registries.iter().filter(|one| one.proof == pull);
        let all: Vec<&str> = all.map(|one| one.domain.as_str()).collect();
        all.join(", ")
    };
    match (named(Pull::Proven), named(Pull::Answered)) {
        (pulled, none) if none.is_empty() => format!("pulled from {pulled}"),
        (none, answered) if none.is_empty() => format!("got an answer from {answered}"),
        (pulled, answered) => format!("pulled from {pulled}, got an answer from {answered}"),
    }
}
