//! `kindreg up`.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::credentials::PasswordFlags;
use super::invocation::Invocation;
use super::request::{self, Flags};
use super::session::Session;
use crate::ops::{self, AfterFailure, Consent, Need, UpOptions, Verify};
use crate::problem::Exit;
use crate::report::{Endpoint, Made, Pull, StepTime, Time};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg up\n  \
    kindreg up --workers 2 --host nexus.test --port 8443\n  \
    kindreg up --name second --port auto\n  \
    kindreg up --config deploy/kindreg.toml\n  \
    kindreg up --dry-run\n\n\
    A second `up` repairs what has drifted, and changes nothing else. A setting that no flag, variable or kindreg.toml \
    sets keeps the value of the last `kindreg up`.")]
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
                AfterFailure::Keep => {
                    "kept what this run created; remove it: kindreg down --name CLUSTER"
                }
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
        context,
        nodes,
        registries,
        ..
    } = made;
    let plural = if *nodes == 1 { "" } else { "s" };
    let domains: Vec<&str> = registries.iter().map(|one| one.domain.as_str()).collect();
    let domains = domains.join(", ");
    let printer = &invocation.printer;
    printer.done(&match (made.changed, verify) {
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
    if made.changed {
        printer.done(&format!("Time: {}", time(&made.time)));
    }
    if let Some(registry) = registry(made) {
        printer.done(&registry);
    }
    if made.changed {
        printer.done(&format!(
            "Cluster: kubectl --context {context} get nodes; remove it: kindreg down --name {cluster}"
        ));
    }
    for text in [elsewhere(made), in_container(made)].iter().flatten() {
        printer.done(text);
    }
    Ok(())
}

/// Returns the time of the run, and the three steps that took longest.
fn time(time: &Time) -> String {
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let mut steps: Vec<&StepTime> = time.steps.iter().collect();
    steps.sort_by_key(|step| std::cmp::Reverse(step.took));
    steps.retain(|step| step.took >= Duration::from_millis(50));
    let longest = steps.iter().take(3);
    let longest: Vec<String> = longest
        .map(|step| format!("{} {}", step.step, seconds(step.took)))
        .collect();
    let whole = seconds(time.whole);
    if longest.is_empty() {
        whole
    } else {
        format!("{whole}; longest: {}", longest.join(", "))
    }
}

/// Returns where the registry that takes pushes is, and how to push to it.
fn registry(made: &Made) -> Option<String> {
    let announced = made.announced.as_ref()?;
    let registry = made.registries.iter().find(|one| one.name == *announced)?;
    let (domain, local) = (&registry.domain, registry.local.as_ref()?);
    let login = if registry.authenticated {
        format!("; log in: kindreg login --name {}", made.cluster)
    } else {
        String::new()
    };
    Some(format!(
        "Registry: push to {local}, pull in pods from {domain}{login}"
    ))
}

/// Returns what is different with an engine on another machine; `None` if it is on this one.
fn elsewhere(made: &Made) -> Option<String> {
    let host = made.engine_host.as_ref()?;
    let mut text = format!(
        "The engine is on {host}, and so is localhost: docker pushes from there. Programs on this machine don't reach the \
         registry by that name."
    );
    if let Some(tunnel) = &made.api_tunnel {
        text.push_str("\nThe API server listens on localhost too. Before you use kubectl, run: ");
        text.push_str(tunnel);
    }
    Some(text)
}

/// Returns what is different in a container of the engine; `None` if nothing is.
fn in_container(made: &Made) -> Option<String> {
    let (container, join) = (made.container.as_ref()?, made.api_join.as_ref()?);
    let cluster = &made.cluster;
    Some(format!(
        "kindreg runs in container {container}, which does not reach the API server at its address on the engine's host. \
         Before you use kubectl here, run: {join}\n\
         For kubectl on the engine's host, save the output of: kind get kubeconfig --name {cluster}"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_names_the_three_longest_steps_and_none_that_took_no_time() {
        let step = |step: &str, milliseconds| StepTime {
            id: "step".to_owned(),
            step: step.to_owned(),
            took: Duration::from_millis(milliseconds),
        };
        let of = |steps: &[StepTime]| {
            time(&Time {
                whole: Duration::from_millis(28_340),
                steps: steps.to_vec(),
            })
        };
        let all = [
            step("network", 49),
            step("proof", 4200),
            step("nodes", 1260),
            step("kind", 18_500),
            step("trust", 200),
        ];
        assert_eq!(
            of(&all),
            "28.3 s; longest: kind 18.5 s, proof 4.2 s, nodes 1.3 s"
        );
        assert_eq!(of(&all[..1]), "28.3 s");
    }
}
