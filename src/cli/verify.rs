//! `kindreg verify`: the proof alone.

use anyhow::Result;
use clap::Args;

use super::session::Session;
use super::{Shared, cluster, json};
use crate::ops::{self, Negative};
use crate::problem::Exit;
use crate::report::{NodeVerification, Pull, WithoutCa};
use crate::ui::Printer;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kindreg verify --name workshop\n  kindreg verify --strict\n  \
    kindreg verify --json | jq '.nodes[] | select(.pull != \"proven\")'\n\n\
    Exit code 3 where a node can't pull, with the node's own words. It repairs nothing; `kindreg up` does."
)]
pub(super) struct Arguments {
    /// Prove the negative too: every node refuses the registry under a name whose CA it lacks
    #[arg(long, env = "KINDREG_STRICT")]
    strict: bool,
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

pub(super) async fn run(shared: &Shared, arguments: &Arguments, printer: Printer) -> Result<Exit> {
    let name = cluster(shared)?;
    let session = Session::open(shared, printer).await?;
    let finished = ops::verify(&session.client, &name, arguments.negative()).await?;
    session.progress.end();
    if shared.json {
        json(printer, &finished.report)?;
    } else {
        for node in &finished.report.nodes {
            printer.out(&line(node));
        }
    }
    match finished.failure {
        None => Ok(Exit::Done),
        Some(error) => session.failed(error, "the proof did not finish"),
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
    let why = why.as_deref().unwrap_or("nothing is known");
    match pull {
        Pull::Proven => {
            format!("proven      {node} pulls from {registry} over verified TLS{without}")
        }
        Pull::Answered => {
            format!("proven      {node} has an answer of {registry} over verified TLS")
        }
        Pull::Refused => format!("refused     {node} can't pull from {registry}{without}: {why}"),
        Pull::NotProven => format!("not proven  {node} with {registry}{without}: {why}"),
    }
}
