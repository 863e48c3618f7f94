//! `kindreg render`.

use anyhow::Result;
use clap::Args;

use super::invocation::Invocation;
use super::request::{self, Flags};
use crate::ops::{self, Need};
use crate::problem::Exit;
use crate::report::Text;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg render\n  \
    kindreg render --workers 2 --host nexus.test\n  \
    kindreg render --json | jq -r '.texts[] | select(.name == \"kind.yaml\").text'\n\n\
    As no engine is asked, a setting of an earlier `kindreg up` is not known, and the port `auto` becomes the first one \
    from 5001 that the settings leave free. As no kind is asked, the default node image is that of the newest kind that \
    kindreg knows.")]
pub(super) struct Arguments {
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(invocation: &Invocation, arguments: &Arguments) -> Result<Exit> {
    let request = request::request(invocation, Some(&arguments.flags), Need::Everything)?;
    let rendered = ops::render(&request)?;
    if invocation.shared.json {
        invocation.json(&rendered)?;
        return Ok(Exit::Done);
    }
    let printer = &invocation.printer;
    for Text { name, to, text } in &rendered.texts {
        printer.out(&format!("===== {name} -> {to}"));
        printer.out(&format!("{}\n", text.trim_end()));
    }
    Ok(Exit::Done)
}
