//! `kindreg render`: every text that `up` would send anywhere, without an engine.

use anyhow::Result;
use clap::Args;

use super::request::{self, Flags};
use super::{Shared, json};
use crate::ops::{self, Need};
use crate::problem::Exit;
use crate::report::Text;
use crate::ui::Printer;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg render\n  \
    kindreg render --workers 2 --host nexus.test\n  \
    kindreg render --json | jq -r '.texts[] | select(.name == \"kind.yaml\").text'\n\n\
    It asks no engine: a port that is auto is taken to be the first one from 5001 on.")]
pub(super) struct Arguments {
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(shared: &Shared, arguments: &Arguments, printer: Printer) -> Result<Exit> {
    let request = request::request(shared, Some(&arguments.flags), Need::Everything)?;
    let rendered = ops::render(&request)?;
    if shared.json {
        json(printer, &rendered)?;
        return Ok(Exit::Done);
    }
    for Text { name, to, text } in &rendered.texts {
        printer.out(&format!("===== {name} -> {to}"));
        printer.out(&format!("{}\n", text.trim_end()));
    }
    Ok(Exit::Done)
}
