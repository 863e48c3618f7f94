//! `kindreg verify`.

use anyhow::Result;
use clap::Args;

use super::cluster;
use super::invocation::Invocation;
use super::session::Session;
use crate::ops::{self, Negative};
use crate::problem::Exit;
use crate::report::{NodeVerification, Pull, Verification, WithoutCa};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kindreg verify --name workshop\n  kindreg verify --strict\n  \
    kindreg verify --json | jq '.nodes[] | select(.pull != \"proven\")'\n\n\
    The exit code is 3 if a node can't pull, or pulls with settings that are not exactly kindreg's; the output says \
    why. `verify` repairs nothing; \
    `kindreg up` does."
)]
pub(super) struct Arguments {
    /// Also prove that every node refuses the registry without its CA
    #[arg(long, env = "KINDREG_STRICT")]
    strict: bool,
    /// Print the steps without running them
    #[arg(long, env = "KINDREG_DRY_RUN")]
    dry_run: bool,
}

impl Arguments {
    const fn negative(&self) -> Negative {
        if self.strict {
            Negative::Proven
        } else {
            Negative::LeftOut
        }
    }
}

pub(super) async fn run(invocation: &Invocation, arguments: &Arguments) -> Result<Exit> {
    let name = cluster(invocation)?;
    let session = Session::open(invocation).await?;
    if arguments.dry_run {
        let negative = arguments.negative();
        let preview = ops::preview_verification(&session.client, &name, negative).await?;
        return invocation.preview(&preview);
    }
    let finished = ops::verify(&session.client, &name, arguments.negative()).await?;
    session.progress.end();
    if invocation.shared.json {
        invocation.json(&finished.report)?;
    } else {
        for node in &finished.report.nodes {
            invocation.printer.out(&line(node));
        }
        invocation.printer.out(&host_line(&finished.report));
    }
    match finished.failure {
        None => Ok(Exit::Done),
        Some(error) => session.failed(error, "some nodes were not checked"),
    }
}

fn host_line(report: &Verification) -> String {
    match &report.host_why {
        None => "proven      the engine's host pushes over verified TLS".to_owned(),
        Some(why) => format!("not proven  the engine's host: {why}"),
    }
}

fn line(proof: &NodeVerification) -> String {
    let NodeVerification {
        node,
        registry,
        pull,
        why,
        without_ca,
    } = proof;
    let without = match without_ca {
        WithoutCa::Refused => "; without the CA it refuses",
        WithoutCa::NotRefused => "; without the CA it does not refuse",
        WithoutCa::NotTried => "",
    };
    let why = why.as_deref().unwrap_or("unknown reason");
    match pull {
        Pull::Proven => {
            format!("proven      {node} pulls from {registry} over verified TLS{without}")
        }
        Pull::Answered => {
            format!("proven      {node} gets an answer from {registry} over verified TLS")
        }
        Pull::Refused => format!("refused     {node} can't pull from {registry}{without}: {why}"),
        Pull::Unverified => {
            format!(
                "unverified  {node} pulls from {registry}, maybe without verifying its certificate{without}: {why}"
            )
        }
        Pull::NotProven => format!("not proven  {node} did not try {registry}{without}: {why}"),
    }
}
