//! The command line: arguments → options of an operation → `ui`. No decisions.

use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use self::invocation::Invocation;
use crate::hints;
use crate::ops::{Detail, Need};
use crate::problem::{Exit, Problem};
use crate::spec::ClusterName;
use crate::step::is_stop;
use crate::ui::{self, OutputMode, Printer, Run};

#[cfg(feature = "fakes")]
mod captured;
mod credentials;
mod down;
mod env;
mod init;
mod invocation;
mod list;
mod login;
mod render;
mod request;
mod secret;
mod session;
mod status;
mod up;
mod verify;

#[cfg(feature = "fakes")]
pub use captured::Answer;
#[cfg(feature = "fakes")]
pub(crate) use captured::run_captured;

/// Create a kind cluster whose nodes pull from a private registry over verified TLS
#[derive(Debug, Parser)]
#[command(
    name = "kindreg",
    version,
    after_help = "Examples:\n  \
        kindreg up --workers 2\n  \
        kindreg login && docker push localhost:5001/my/image\n  \
        kindreg down\n\n\
        Exit codes:\n  \
        0    done\n  \
        1    failed\n  \
        2    wrong usage or configuration\n  \
        3    not ready, or not found\n  \
        4    a name is in use by something that kindreg did not create\n  \
        130  interrupted"
)]
pub struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create the registry and the cluster, and prove that every node can pull
    Up(up::Arguments),
    /// Remove a cluster and everything that `up` created for it
    Down(down::Arguments),
    /// Show what is ready, what has drifted and what is missing
    Status(status::Arguments),
    /// List the kindreg clusters of the Docker engine
    List(list::Arguments),
    /// Write a commented kindreg.toml, or print its JSON schema
    Init(init::Arguments),
    /// Print every file and manifest that `up` would create, without a Docker engine
    Render(render::Arguments),
    /// Prove again that every node can pull: each runs a pod from a new image
    Verify(verify::Arguments),
    /// Log docker in to the registries of a cluster
    Login(login::Arguments),
    /// Log docker out of the registries of a cluster
    Logout(login::LogoutArguments),
    /// Create an imagePullSecret in namespaces, or print its manifest
    Secret(secret::Arguments),
    /// Print host, user and password of the registries as environment variables
    Env(env::Arguments),
}

/// The options that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Shared options")]
struct Shared {
    /// Name of the cluster [default: the one in kindreg.toml, or kindreg]
    #[arg(
        long = "name",
        global = true,
        env = "KINDREG_NAME",
        value_name = "CLUSTER"
    )]
    given_name: Option<String>,
    /// Settings file [default: the nearest kindreg.toml, from the current folder up to the root of the repository]
    #[arg(long, global = true, env = "KINDREG_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the Docker engine [default: the one that docker uses: `DOCKER_HOST`, `DOCKER_CONTEXT` or the current
    /// docker context]
    #[arg(long, global = true, env = "KINDREG_DOCKER_HOST", value_name = "URL")]
    docker_host: Option<String>,
    /// Time limit for each wait. A pull of an image may take longer if 1 MiB of it arrives in each such time
    #[arg(long, global = true, env = "KINDREG_TIMEOUT", default_value = "300", value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Print the result as JSON
    #[arg(long, global = true, env = "KINDREG_JSON")]
    json: bool,
    /// Format of the progress on stderr
    #[arg(long, global = true, env = "KINDREG_EVENTS", value_enum, default_value_t = EventsAs::Text)]
    events: EventsAs,
    /// Print only errors and what was asked for, such as the report of `status`, or JSON with --json
    #[arg(long, short, global = true, env = "KINDREG_QUIET")]
    quiet: bool,
    /// Print each call and its duration; -vv adds the commands in containers, -vvv their output. Secrets
    /// are never printed
    #[arg(long, short, global = true, env = "KINDREG_VERBOSE", action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EventsAs {
    /// Progress bars on a terminal, lines in a pipe.
    Text,
    /// One JSON object per line.
    Json,
}

impl Shared {
    fn output_mode(&self) -> OutputMode {
        match (self.quiet, self.events) {
            (false, EventsAs::Json) => OutputMode::Json,
            (true, EventsAs::Json) => OutputMode::QuietJson,
            (true, EventsAs::Text) => OutputMode::Quiet,
            (false, EventsAs::Text) if self.verbose > 0 => OutputMode::Lines,
            (false, EventsAs::Text) => OutputMode::Bars,
        }
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

/// Runs a command line and prints its failure, if any.
pub async fn run(cli: Cli) -> Exit {
    let Cli { shared, command } = cli;
    execute(Invocation::of_process(shared), command).await
}

async fn execute(mut invocation: Invocation, command: Command) -> Exit {
    invocation.printer = invocation.printer.of(Run {
        cluster: cluster(&invocation).unwrap_or_default().to_string(),
        command: invocation.typed.clone(),
    });
    let invocation = &invocation;
    let printer = &invocation.printer;
    let exit = dispatch(invocation, command).await.unwrap_or_else(|error| {
        if is_stop(&error) {
            ui::interrupted(printer, "nothing was changed");
            return Exit::Interrupted;
        }
        ui::failure(printer, &error);
        hints::exit(&error)
    });
    match printer.refused() {
        Some(error) => unprinted(printer, error, exit),
        None => exit,
    }
}

/// Says that nobody got the result, and returns an exit code that is no success.
fn unprinted(printer: &Printer, error: &std::io::Error, exit: Exit) -> Exit {
    let what = format!("can't write to stdout: {error}");
    let hint = "run the command again, and read all of its output";
    ui::failure(printer, &Problem::new(what, hint).into());
    match exit {
        Exit::Done => Exit::Failed,
        other => other,
    }
}

async fn dispatch(invocation: &Invocation, command: Command) -> Result<Exit> {
    match command {
        Command::Up(arguments) => up::run(invocation, &arguments).await,
        Command::Down(arguments) => down::run(invocation, &arguments).await,
        Command::Status(arguments) => status::run(invocation, &arguments).await,
        Command::List(_) => list::run(invocation).await,
        Command::Init(arguments) => init::run(invocation, &arguments),
        Command::Render(arguments) => render::run(invocation, &arguments),
        Command::Verify(arguments) => verify::run(invocation, &arguments).await,
        Command::Login(arguments) => login::run(invocation, &arguments).await,
        Command::Logout(_) => login::logout(invocation).await,
        Command::Secret(arguments) => secret::run(invocation, &arguments).await,
        Command::Env(arguments) => env::run(invocation, &arguments).await,
    }
}

/// Returns the name of the cluster that a command is about.
fn cluster(invocation: &Invocation) -> Result<ClusterName> {
    let request = request::request(invocation, None, Need::Name)?;
    Ok(request.cluster.value)
}
