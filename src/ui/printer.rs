//! Decides once where output goes and how it looks.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, OnceLock};

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;

#[cfg(feature = "fakes")]
use super::Captured;
use super::clean::clean;
use super::{Run, style};

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
    /// Errors only, each as one JSON object.
    QuietJson,
}

impl OutputMode {
    /// Returns whether nothing is said but errors.
    const fn is_quiet(self) -> bool {
        match self {
            Self::Bars | Self::Lines | Self::Json => false,
            Self::Quiet | Self::QuietJson => true,
        }
    }

    /// Returns whether what is said is JSON.
    pub(super) const fn is_json(self) -> bool {
        match self {
            Self::Bars | Self::Lines | Self::Quiet => false,
            Self::Json | Self::QuietJson => true,
        }
    }
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

/// Writes to stdout and stderr. Texts of others are made harmless for a terminal. Clones share the outcome.
#[derive(Debug, Clone)]
pub struct Printer {
    mode: OutputMode,
    colour: bool,
    /// Why stdout took no more: that run must not seem to have succeeded.
    refused: Arc<OnceLock<io::Error>>,
    /// What the commands in hints and notes are completed with.
    run: Option<Run>,
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
            refused: Arc::default(),
            run: None,
            streams: Streams::Process,
        }
    }

    /// Creates a printer to buffers, which looks as in a pipe: no bars and no colour.
    #[cfg(feature = "fakes")]
    #[must_use]
    pub(crate) fn captured(mode: OutputMode, captured: Captured) -> Self {
        let mode = match mode {
            OutputMode::Bars => OutputMode::Lines,
            other => other,
        };
        Self {
            mode,
            colour: false,
            refused: Arc::default(),
            run: None,
            streams: Streams::Captured(captured),
        }
    }

    /// Returns the printer of this run.
    #[must_use]
    pub fn of(&self, run: Run) -> Self {
        Self {
            run: Some(run),
            ..self.clone()
        }
    }

    /// Returns the printer of the same command line for one of several clusters.
    #[must_use]
    pub fn of_cluster(&self, cluster: &str) -> Self {
        let run = self.run.clone().map(|run| Run {
            cluster: cluster.to_owned(),
            ..run
        });
        Self {
            run,
            ..self.clone()
        }
    }

    /// Returns a text whose commands can be typed as printed.
    pub(super) fn filled(&self, text: &str) -> String {
        match &self.run {
            Some(run) => run.fill(text),
            None => text.to_owned(),
        }
    }

    /// Returns the output mode, with `Bars` only if stderr is a terminal.
    #[must_use]
    pub const fn mode(&self) -> OutputMode {
        self.mode
    }

    /// Prints a line on stdout that says what the command did, unless the output is quiet: nobody asked for it.
    pub fn done(&self, line: &str) {
        if !self.mode.is_quiet() {
            self.out(line);
        }
    }

    /// Prints a line on stdout of what the user asked for, quiet or not. [`Self::refused`] says whether all of them were
    /// taken.
    pub fn out(&self, line: &str) {
        if self.refused.get().is_some() {
            return;
        }
        let line = format!("{}\n", clean(line));
        let written = match &self.streams {
            Streams::Process => std::io::stdout().write_all(line.as_bytes()),
            #[cfg(feature = "fakes")]
            Streams::Captured(captured) => captured.stdout(&line),
        };
        if let Err(error) = written {
            // Another clone may have been first.
            let _ = self.refused.set(error);
        }
    }

    /// Returns why stdout did not take the result; `None` if it did.
    #[must_use]
    pub fn refused(&self) -> Option<&io::Error> {
        self.refused.get()
    }

    /// Prints a line on stderr, unless the output is quiet.
    pub fn say(&self, line: &str) {
        if !self.mode.is_quiet() {
            self.complain(line);
        }
    }

    /// Prints a line on stderr, quiet or not.
    pub fn complain(&self, line: &str) {
        self.styled_line(&clean(line));
    }

    /// Prints a line on stderr that has styles of ours in it. What others wrote in it must be clean.
    pub(super) fn styled_line(&self, line: &str) {
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
        format!(
            "{} {}",
            self.styled("warning:", style::WARNING),
            clean(warning)
        )
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
