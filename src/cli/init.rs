//! `kindreg init`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::invocation::Invocation;
use crate::ops::FILE;
use crate::problem::{Exit, Problem};
use crate::shell;
use crate::user_file;

/// The settings file that `init` writes.
const TEMPLATE: &str = include_str!("../../templates/kindreg.toml");
/// The JSON schema of settings files.
const SCHEMA: &str = include_str!("../../templates/kindreg.schema.json");

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg init\n  \
    kindreg init --force deploy/kindreg.toml\n  \
    kindreg init --schema > kindreg.schema.json\n\n\
    The file has the defaults of `kindreg up`; change what you like. The JSON schema is for editors.")]
pub(super) struct Arguments {
    /// File to write
    #[arg(value_name = "FILE", default_value = FILE)]
    file: PathBuf,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
    /// Print the JSON schema of kindreg.toml, and write nothing
    #[arg(long, conflicts_with_all = ["file", "force"])]
    schema: bool,
}

pub(super) fn run(invocation: &Invocation, arguments: &Arguments) -> Result<Exit> {
    let printer = &invocation.printer;
    if arguments.schema {
        printer.out(SCHEMA.trim_end());
        return Ok(Exit::Done);
    }
    write(invocation, arguments)?;
    if invocation.shared.json {
        printer.out(&json!({"file": arguments.file}).to_string());
    } else {
        let path = arguments.file.display();
        printer.done(&format!(
            "Wrote {path}. Change what you like, then run: kindreg up"
        ));
    }
    Ok(Exit::Done)
}

fn write(invocation: &Invocation, arguments: &Arguments) -> Result<()> {
    let path = arguments.file.display();
    let place = invocation.path(&arguments.file);
    if arguments.force && place.is_file() {
        let replaced = user_file::replace(&place, TEMPLATE.as_bytes());
        return replaced.with_context(|| format!("can't write {path}"));
    }
    let mut options = OpenOptions::new();
    options.write(true);
    if arguments.force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = match options.open(&place) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Problem::usage(
                format!("{path} already exists"),
                format!(
                    "name another file, or overwrite this one: kindreg init --force {}",
                    shell::word(&path.to_string())
                ),
            )
            .into());
        }
        opened => opened.with_context(|| format!("can't write {path}"))?,
    };
    let written = file.write_all(TEMPLATE.as_bytes());
    if written.is_err() && !arguments.force {
        // Half a file would stand in the way of the next try.
        let _ = std::fs::remove_file(&place);
    }
    written.with_context(|| format!("can't write {path}"))
}
