//! Parse, run, exit code.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use kindreg::cli::{self, Cli};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return answered(&answer),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let exit = runtime.block_on(cli::run(cli));
    ExitCode::from(exit as u8)
}

/// Prints help, the version, or a usage error.
fn answered(answer: &clap::Error) -> ExitCode {
    match answer.print() {
        Ok(()) => ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(1)),
        Err(error) => failed(&format_args!("can't write to stdout: {error}")),
    }
}

fn failed(why: &dyn Display) -> ExitCode {
    let _ = std::io::stderr().write_fmt(format_args!("error: {why}\n"));
    ExitCode::FAILURE
}
