//! Decides once where output goes and how it looks.

use std::io::{IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;

#[cfg(feature = "fakes")]
use super::Captured;
use super::style;

/// The form in which progress and messages are printed on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputMode {
    /// Progress bars; for terminals.
    Bars,
    /// One line per event.
    Lines,
    /// One JSON object per event (NDJSON).
    Json,
    /// Errors only.
    Quiet,
}

/// The streams that a printer writes to and reads answers from.
#[derive(Debug, Clone)]
pub(super) enum Streams {
    /// Those of the process.
    Process,
    /// Buffers of a test.
    #[cfg(feature = "fakes")]
    Captured(Captured),
}

/// Writes to stdout and stderr. A closed pipe is not an error: its reader has seen enough.
#[derive(Debug, Clone)]
pub struct Printer {
    mode: OutputMode,
    colour: bool,
    pub(super) streams: Streams,
}

impl Printer {
    /// Creates a printer to the streams of the process. `Bars` become `Lines` if stderr is not a terminal.
    #[must_use]
    pub fn new(mode: OutputMode) -> Self {
        let stderr = std::io::stderr();
        let mode = match mode {
            OutputMode::Bars if !stderr.is_terminal() => OutputMode::Lines,
            other => other,
        };
        // Asked here instead of at each write, because bars bypass this printer. It obeys
        // NO_COLOR, CLICOLOR_FORCE, CLICOLOR and TERM: https://bixense.com/clicolors
        let colour = AutoStream::choice(&stderr) != ColorChoice::Never;
        Self {
            mode,
            colour,
            streams: Streams::Process,
        }
    }

    /// Creates a printer to buffers, which looks as in a pipe: no bars and no colour.
    #[cfg(feature = "fakes")]
    #[must_use]
    pub(crate) const fn captured(mode: OutputMode, captured: Captured) -> Self {
        let mode = match mode {
            OutputMode::Bars => OutputMode::Lines,
            other => other,
        };
        Self {
            mode,
            colour: false,
            streams: Streams::Captured(captured),
        }
    }

    /// Returns the output mode, with `Bars` only if stderr is a terminal.
    #[must_use]
    pub const fn mode(&self) -> OutputMode {
        self.mode
    }

    /// Prints a line of the result on stdout.
    pub fn out(&self, line: &str) {
        match &self.streams {
            Streams::Process => drop(writeln!(std::io::stdout(), "{line}")),
            #[cfg(feature = "fakes")]
            Streams::Captured(captured) => captured.stdout(&format!("{line}\n")),
        }
    }

    /// Prints a line on stderr, unless the output is quiet.
    pub fn say(&self, line: &str) {
        if self.mode != OutputMode::Quiet {
            self.complain(line);
        }
    }

    /// Prints a line on stderr, quiet or not.
    pub fn complain(&self, line: &str) {
        self.stderr(&format!("{line}\n"));
    }

    /// Prints a text on stderr as it is.
    pub(super) fn stderr(&self, text: &str) {
        match &self.streams {
            Streams::Process => drop(std::io::stderr().write_all(text.as_bytes())),
            #[cfg(feature = "fakes")]
            Streams::Captured(captured) => captured.stderr(text),
        }
    }

    /// Returns the line of a warning.
    pub(super) fn warning(&self, warning: &str) -> String {
        format!("{} {warning}", self.styled("warning:", style::WARNING))
    }

    /// Returns the text in a style, or unchanged if stderr gets no colour.
    #[must_use]
    pub(super) fn styled(&self, text: &str, style: Style) -> String {
        if self.colour {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}
