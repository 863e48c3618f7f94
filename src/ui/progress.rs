//! Prints the engine's events: bars on a terminal, plain lines in a pipe, NDJSON for a program.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{OutputMode, Printer, style};
use crate::engine::Event;

/// Prints events; several lanes may send them at once.
#[derive(Debug)]
pub struct Progress {
    printer: Printer,
    bars: MultiProgress,
    active: Mutex<HashMap<String, ProgressBar>>,
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

impl Progress {
    /// Prints events in the printer's output mode.
    #[must_use]
    pub fn new(printer: Printer) -> Self {
        Self {
            printer,
            bars: MultiProgress::new(),
            active: Mutex::default(),
        }
    }

    /// Prints one event.
    pub fn draw(&self, event: &Event) {
        match self.printer.mode() {
            OutputMode::Quiet => {}
            OutputMode::Json => self.printer.say(&as_json(event).to_string()),
            OutputMode::Lines => {
                if let Some(line) = self.line(event) {
                    self.printer.say(&line);
                }
            }
            OutputMode::Bars => self.bar(event),
        }
    }

    /// Prints a line of the trace (`-v`, which has no bars).
    pub fn told(&self, text: &str) {
        self.printer.say(&match self.printer.mode() {
            OutputMode::Json => json!({"event": "trace", "text": text}).to_string(),
            _ => format!("  {} {text}", self.printer.styled("·", style::DIM)),
        });
    }

    /// Removes the bars, so that plain text can follow.
    pub fn end(&self) {
        for (_, bar) in self
            .active
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain()
        {
            bar.finish_and_clear();
        }
    }

    /// Returns the line that an event prints; `Started` prints one only if there is a drift to show.
    fn line(&self, event: &Event) -> Option<String> {
        let sign = |text, style| self.printer.styled(text, style);
        Some(match event {
            Event::Note(text) => format!("  … {text}"),
            Event::Started {
                step,
                drift: Some(why),
            } => format!("  {} {step}: {why}", sign("~", style::DRIFT)),
            Event::Started { drift: None, .. } | Event::Undoing { .. } => return None,
            Event::Done { step, took } => {
                format!("  {} {step} ({})", sign("✓", style::DONE), seconds(*took))
            }
            Event::Failed { step } => format!("  {} {step}", sign("✗", style::FAILED)),
            Event::Undone { step, took } => {
                format!(
                    "  {} removed: {step} ({})",
                    sign("-", style::REMOVED),
                    seconds(*took)
                )
            }
            Event::UndoFailed { step, error } => {
                format!(
                    "  {} not removed: {step}: {error}",
                    sign("✗", style::FAILED)
                )
            }
        })
    }

    fn bar(&self, event: &Event) {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { step, .. } | Event::Undoing { step } => {
                let bar = self
                    .bars
                    .add(ProgressBar::new_spinner().with_message(step.clone()));
                if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} ({elapsed})") {
                    bar.set_style(style);
                }
                bar.enable_steady_tick(Duration::from_millis(100));
                active.insert(step.clone(), bar);
            }
            Event::Done { step, .. }
            | Event::Failed { step }
            | Event::Undone { step, .. }
            | Event::UndoFailed { step, .. } => {
                if let Some(bar) = active.remove(step) {
                    bar.finish_and_clear();
                }
            }
            Event::Note(_) => {}
        }
        if let Some(line) = self.line(event) {
            // Above the bars. stderr was a terminal at the start, so an error means that the terminal is gone.
            let _ = self.bars.println(line);
        }
    }
}

/// Returns an event as `--events json` prints it, with times in seconds. Programs depend on this format.
fn as_json(event: &Event) -> Value {
    match event {
        Event::Note(text) => json!({"event": "note", "text": text}),
        Event::Started { step, drift } => json!({"event": "started", "step": step, "drift": drift}),
        Event::Done { step, took } => {
            json!({"event": "done", "step": step, "seconds": took.as_secs_f64()})
        }
        Event::Failed { step } => json!({"event": "failed", "step": step}),
        Event::Undoing { step } => json!({"event": "undoing", "step": step}),
        Event::Undone { step, took } => {
            json!({"event": "undone", "step": step, "seconds": took.as_secs_f64()})
        }
        Event::UndoFailed { step, error } => {
            json!({"event": "undo-failed", "step": step, "error": error})
        }
    }
}
