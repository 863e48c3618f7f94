//! What kind printed: its last lines for an error, without the control sequences of a terminal.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::ExitStatus;

use crate::kind::{KindError, Result};

/// The most lines of kind's output in an error.
pub(super) const LAST_LINES: usize = 40;

pub(super) fn failed_io(command: &str, cause: io::Error) -> KindError {
    KindError::Io {
        command: command.into(),
        cause,
    }
}

/// Returns the output of a command that has exited, or its failure.
pub(super) fn outcome(command: &str, status: ExitStatus, output: &mut File) -> Result<String> {
    let mut said = Vec::new();
    let read = output.rewind().and_then(|()| output.read_to_end(&mut said));
    read.map_err(|cause| failed_io(command, cause))?;
    let said = plain(&String::from_utf8_lossy(&said));
    if status.success() {
        return Ok(said);
    }
    let skipped = said.lines().count().saturating_sub(LAST_LINES);
    let last: Vec<&str> = said.lines().skip(skipped).collect();
    let output = if last.is_empty() {
        status.to_string()
    } else {
        last.join("\n")
    };
    Err(KindError::Failed {
        command: command.into(),
        output,
    })
}

/// Returns text without the control sequences of a terminal (ECMA-48, CSI) and without carriage returns.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' if characters.as_str().starts_with('[') => {
                characters.next();
                characters
                    .by_ref()
                    .find(|final_byte| ('@'..='~').contains(final_byte));
            }
            '\r' => {}
            character => plain.push(character),
        }
    }
    plain
}
