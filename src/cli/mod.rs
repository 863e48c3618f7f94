//! The command line: arguments → options of an operation → `ui`. No decisions.

use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::hints;
use crate::ops::Detail;
use crate::problem::Exit;
use crate::spec::ClusterName;
use crate::ui::{self, OutputMode, Printer};

mod credentials;
mod down;
mod env;
mod init;
mod list;
mod login;
mod render;
mod request;
mod secret;
mod session;
mod status;
mod up;
mod verify;

/// A private registry over TLS, and a kind cluster whose every node really trusts it.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done; 1 failed; 2 wrong usage; 3 not ready; 4 found what is not ours; 130 interrupted.\n\n\
                  Example:\n  kindreg up --workers 2\n  docker push localhost:5001/my/image\n  kindreg down"
)]
pub struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make registry and cluster, and prove that every node pulls over verified TLS
    Up(up::Arguments),
    /// Remove everything that `up` made, and nothing else
    Down(down::Arguments),
    /// Say what is ready and what drifted, and why
    Status(status::Arguments),
    /// List the clusters of kindreg's in this engine
    List(list::Arguments),
    /// Write a commented kindreg.toml, or print its JSON schema
    Init(init::Arguments),
    /// Print every text that `up` would send anywhere, without an engine
    Render(render::Arguments),
    /// Prove it again: one pod on every node pulls a new image
    Verify(verify::Arguments),
    /// Log docker, and all that reads its config, in to the registries
    Login(login::Arguments),
    /// Forget what `login` stored
    Logout(login::LogoutArguments),
    /// Make an imagePullSecret in namespaces, or print one for another cluster
    Secret(secret::Arguments),
    /// Print host, user and password as variables for a CI job
    Env(env::Arguments),
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Shared options")]
struct Shared {
    /// Name of the cluster [default: that of kindreg.toml, else kindreg]
    #[arg(
        long = "name",
        global = true,
        env = "KINDREG_NAME",
        value_name = "CLUSTER"
    )]
    given_name: Option<String>,
    /// Settings [default: the next kindreg.toml from here up to the repository's root]
    #[arg(long, global = true, env = "KINDREG_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the Docker engine [default: as docker finds it: `DOCKER_HOST`, `DOCKER_CONTEXT`, docker context]
    #[arg(long, global = true, env = "KINDREG_DOCKER_HOST", value_name = "URL")]
    docker_host: Option<String>,
    /// Longest time that one wait may take
    #[arg(long, global = true, env = "KINDREG_TIMEOUT", default_value = "300", value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Print the result as JSON
    #[arg(long, global = true, env = "KINDREG_JSON")]
    json: bool,
    /// How progress is told on stderr
    #[arg(long, global = true, env = "KINDREG_EVENTS", value_enum, default_value_t = EventsAs::Text)]
    events: EventsAs,
    /// Say nothing on stderr but errors
    #[arg(long, short, global = true, env = "KINDREG_QUIET")]
    quiet: bool,
    /// Say what is done, a line a call; -vv also commands in nodes, -vvv also what they say. Never a secret
    #[arg(long, short, global = true, env = "KINDREG_VERBOSE", action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EventsAs {
    /// Bars on a terminal, lines in a pipe.
    Text,
    /// One JSON object a line.
    Json,
}

impl Shared {
    fn printer(&self) -> Printer {
        Printer::new(match (self.quiet, self.events) {
            (_, EventsAs::Json) => OutputMode::Json,
            (true, EventsAs::Text) => OutputMode::Quiet,
            (false, EventsAs::Text) if self.verbose > 0 => OutputMode::Lines,
            (false, EventsAs::Text) => OutputMode::Bars,
        })
    }

    /// How much is told of what is done; `None` without `-v`.
    const fn detail(&self) -> Option<Detail> {
        match self.verbose {
            0 => None,
            1 => Some(Detail::Calls),
            2 => Some(Detail::Commands),
            _ => Some(Detail::Outputs),
        }
    }
}

/// Runs a command line; what failed is shown before this returns.
pub async fn run(cli: Cli) -> Exit {
    let printer = cli.shared.printer();
    dispatch(cli, printer).await.unwrap_or_else(|error| {
        ui::failure(printer, &error);
        hints::exit(&error)
    })
}

async fn dispatch(cli: Cli, printer: Printer) -> Result<Exit> {
    let Cli { shared, command } = cli;
    let shared = &shared;
    match command {
        Command::Up(arguments) => up::run(shared, &arguments, printer).await,
        Command::Down(arguments) => down::run(shared, &arguments, printer).await,
        Command::Status(arguments) => status::run(shared, &arguments, printer).await,
        Command::List(_) => list::run(shared, printer).await,
        Command::Init(arguments) => init::run(shared, &arguments, printer),
        Command::Render(arguments) => render::run(shared, &arguments, printer),
        Command::Verify(arguments) => verify::run(shared, &arguments, printer).await,
        Command::Login(arguments) => login::run(shared, &arguments, printer).await,
        Command::Logout(_) => login::logout(shared, printer).await,
        Command::Secret(arguments) => secret::run(shared, &arguments, printer).await,
        Command::Env(arguments) => env::run(shared, &arguments, printer).await,
    }
}

/// The name of the cluster that a command is about.
fn cluster(shared: &Shared) -> Result<ClusterName> {
    let request = request::request(shared, None, crate::ops::Need::Name)?;
    Ok(request.cluster.value)
}

/// Prints a report as JSON on one line.
fn json(printer: Printer, report: &impl serde::Serialize) -> Result<()> {
    printer.out(&serde_json::to_string(report)?);
    Ok(())
}
