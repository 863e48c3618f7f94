//! One run of the command line, with the outside world that it works on.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::Shared;
#[cfg(feature = "fakes")]
use crate::ops::Client;
use crate::problem::Exit;
use crate::report::{Planned, Preview};
use crate::shell;
use crate::ui::Printer;

/// How a command gets its client.
#[derive(Debug)]
pub(super) enum Connector {
    /// It connects to the Docker engine.
    Engine,
    /// A test has made the client.
    #[cfg(feature = "fakes")]
    Given(Box<Client>),
}

/// What every command works with.
#[derive(Debug)]
pub(super) struct Invocation {
    /// The options that every command takes.
    pub(super) shared: Shared,
    /// The command line, as a shell would take it again.
    pub(super) typed: String,
    /// Where output goes.
    pub(super) printer: Printer,
    /// Where the client comes from.
    pub(super) connector: Connector,
    /// The folder that relative paths are relative to; `None` for the process's own.
    pub(super) folder: Option<PathBuf>,
    /// Returns the value of an environment variable.
    pub(super) variable: fn(&str) -> Option<String>,
}

/// Returns a command line from its words.
pub(super) fn typed(words: impl Iterator<Item = String>) -> String {
    words
        .map(|it| shell::word(&it))
        .collect::<Vec<_>>()
        .join(" ")
}

impl Invocation {
    /// An invocation by the process itself.
    pub(super) fn of_process(shared: Shared) -> Self {
        Self {
            printer: Printer::new(shared.output_mode()),
            shared,
            typed: typed(std::env::args_os().map(|word| word.to_string_lossy().into_owned())),
            connector: Connector::Engine,
            folder: None,
            variable: |name| std::env::var(name).ok(),
        }
    }

    /// Resolves a typed path.
    pub(super) fn path(&self, typed: &Path) -> PathBuf {
        let folder = self.folder.as_deref().unwrap_or(Path::new(""));
        folder.join(typed)
    }

    /// Prints what a run would do, as text or JSON.
    pub(super) fn preview(&self, preview: &Preview) -> Result<Exit> {
        if self.shared.json {
            self.json(preview)?;
            return Ok(Exit::Done);
        }
        for Planned {
            step, state, why, ..
        } in &preview.steps
        {
            self.printer.out(&state.line(step, why.as_deref()));
        }
        Ok(Exit::Done)
    }

    /// Prints a report as JSON on one line.
    pub(super) fn json(&self, report: &impl Serialize) -> Result<()> {
        self.printer.out(&serde_json::to_string(report)?);
        Ok(())
    }
}
