//! Decides once where output goes and how it looks.

use std::io::{IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;

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

/// Writes to stdout and stderr. A closed pipe is not an error: its reader has seen enough.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    mode: OutputMode,
    colour: bool,
}

#[expect(
    clippy::unused_self,
    reason = "who prints through a printer need not know what it looks at"
)]
impl Printer {
    /// Creates a printer. `Bars` become `Lines` if stderr is not a terminal.
    #[must_use]
    pub fn new(mode: OutputMode) -> Self {
        let stderr = std::io::stderr();
        let mode = match mode {
            OutputMode::Bars if !stderr.is_terminal() => OutputMode::Lines,
            other => other,
        };
        // Asked here instead of at each write, because bars are not written through a stream of ours. It obeys
        // NO_COLOR, CLICOLOR_FORCE, CLICOLOR and TERM: https://bixense.com/clicolors
        let colour = AutoStream::choice(&stderr) != ColorChoice::Never;
        Self { mode, colour }
    }

    /// Returns the output mode, with `Bars` only if stderr is a terminal.
    #[must_use]
    pub const fn mode(self) -> OutputMode {
        self.mode
    }

    /// Prints a line of the result on stdout.
    pub fn out(self, line: &str) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    /// Prints a line on stderr, unless the output is quiet.
    pub fn say(self, line: &str) {
        if self.mode != OutputMode::Quiet {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// Prints a line on stderr, quiet or not.
    pub fn complain(self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// Returns the line of a warning.
    pub(super) fn warning(self, warning: &str) -> String {
        format!("{} {warning}", self.styled("warning:", style::WARNING))
    }

    /// Returns the text in a style, or unchanged if stderr gets no colour.
    #[must_use]
    pub(super) fn styled(self, text: &str, style: Style) -> String {
        if self.colour {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// Asks a yes-or-no question on the terminal. Without a terminal, and for anything but `y` or `yes`, the answer is no.
    #[must_use]
    pub fn ask(self, question: &str) -> bool {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return false;
        }
        let _ = write!(std::io::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).is_ok()
            && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }
}
