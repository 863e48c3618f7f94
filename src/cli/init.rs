//! `kindreg init`: a commented `kindreg.toml`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::Shared;
use crate::ops::FILE;
use crate::problem::{Exit, Problem};
use crate::ui::Printer;

/// The file that is written.
pub(super) const TEMPLATE: &str = include_str!("../../templates/kindreg.toml");
/// What such a file may hold.
const SCHEMA: &str = include_str!("../../templates/kindreg.schema.json");

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg init\n  \
    kindreg init --force deploy/kindreg.toml\n  \
    kindreg init --schema > kindreg.schema.json\n\n\
    The file says what `kindreg up` does without one; change what you like. The JSON schema is for editors.")]
pub(super) struct Arguments {
    /// File to write
    #[arg(value_name = "FILE", default_value = FILE)]
    file: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// Print the JSON schema of such files, and write nothing
    #[arg(long, conflicts_with_all = ["file", "force"])]
    schema: bool,
}

pub(super) fn run(shared: &Shared, arguments: &Arguments, printer: Printer) -> Result<Exit> {
    if arguments.schema {
        printer.out(SCHEMA.trim_end());
        return Ok(Exit::Done);
    }
    let path = arguments.file.display();
    write(arguments)?;
    if shared.json {
        printer.out(&json!({"file": arguments.file}).to_string());
    } else {
        printer.out(&format!(
            "Wrote {path}. Change what you like, then: kindreg up"
        ));
    }
    Ok(Exit::Done)
}

fn write(arguments: &Arguments) -> Result<()> {
    let path = arguments.file.display();
    let mut options = OpenOptions::new();
    options.write(true);
    if arguments.force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = match options.open(&arguments.file) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Problem::usage(
                format!("{path} exists"),
                "name another file, or replace it with --force",
            )
            .into());
        }
        opened => opened.with_context(|| format!("can't write {path}"))?,
    };
    file.write_all(TEMPLATE.as_bytes())
        .with_context(|| format!("can't write {path}"))
}
