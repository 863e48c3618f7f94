//! Runs a command line inside of a test: on a client that the test made, with its output in memory.

use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches};

use super::invocation::{Connector, Invocation, typed};
use super::{Cli, execute};
use crate::ops::Client;
use crate::ui::{Captured, Printer};

/// The width of help and usage errors, whatever the terminal.
const WIDTH: usize = 100;

/// The outcome of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The exit code.
    pub code: i32,
    /// Everything that it printed on stdout.
    pub stdout: String,
    /// Everything that it printed on stderr, and the answers that were typed.
    pub stderr: String,
}

/// Runs a command line in a folder, with these streams. The process's environment does not count.
pub(crate) async fn run_captured(
    client: Client,
    folder: PathBuf,
    arguments: &[&str],
    captured: Captured,
) -> Answer {
    let words = || std::iter::once("kindreg").chain(arguments.iter().copied());
    let parsed = without_variables(Cli::command())
        .term_width(WIDTH)
        .try_get_matches_from(words())
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let Cli { shared, command } = match parsed {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    let invocation = Invocation {
        typed: typed(words().map(str::to_owned)),
        printer: Printer::captured(shared.output_mode(), captured.clone()),
        shared,
        connector: Connector::Given(Box::new(client)),
        folder: Some(folder),
        variable: |_| None,
    };
    let exit = execute(invocation, command).await;
    let (stdout, stderr) = captured.content();
    Answer {
        code: exit as i32,
        stdout,
        stderr,
    }
}

/// Returns what clap answers by itself: help, the version, or a usage error.
fn refused(error: &clap::Error) -> Answer {
    let text = error.render().to_string();
    let (stdout, stderr) = if error.use_stderr() {
        (String::new(), text)
    } else {
        (text, String::new())
    };
    Answer {
        code: error.exit_code(),
        stdout,
        stderr,
    }
}

/// Lets a command and its sub-commands read no environment variable.
fn without_variables(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| argument.env(None::<&str>))
        .mut_subcommands(without_variables)
}
