//! Prints the engine's events: bars on a terminal, plain lines in a pipe, NDJSON for a program.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::clean::clean;
use super::{OutputMode, Printer, style};
use crate::engine::{Event, StepEvent};

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
        let filled = match event {
            Event::Note(text) => Some(Event::Note(self.printer.filled(text))),
            Event::Warning(_) | Event::Step { .. } => None,
        };
        let event = filled.as_ref().unwrap_or(event);
        match self.printer.mode() {
            OutputMode::Quiet | OutputMode::QuietJson => {}
            OutputMode::Json => self.printer.say(&as_json(event).to_string()),
            OutputMode::Lines => {
                if let Some(line) = self.line(event) {
                    self.printer.styled_line(&line);
                }
            }
            OutputMode::Bars => self.bar(event),
        }
    }

    /// Prints a line of the trace (`-v`, which has no bars).
    pub fn trace(&self, text: &str) {
        match self.printer.mode() {
            OutputMode::Quiet | OutputMode::QuietJson => {}
            OutputMode::Json => {
                let line = json!({"event": "trace", "text": text});
                self.printer.say(&line.to_string());
            }
            OutputMode::Bars | OutputMode::Lines => {
                let sign = self.printer.styled("·", style::DIM);
                self.printer
                    .styled_line(&format!("  {sign} {}", clean(text)));
            }
        }
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
        let (title, what) = match event {
            Event::Note(text) => return Some(format!("  … {}", clean(text))),
            Event::Warning(text) => return Some(self.printer.warning(text)),
            Event::Step { title, what, .. } => (clean(title), what),
        };
        Some(match what {
            StepEvent::Started { drift: Some(why) } => {
                format!("  {} {title}: {}", sign("~", style::DRIFT), clean(why))
            }
            StepEvent::Started { drift: None } | StepEvent::Undoing => return None,
            StepEvent::Done { took } => {
                format!("  {} {title} ({})", sign("✓", style::DONE), seconds(*took))
            }
            StepEvent::Failed { .. } => format!("  {} {title}", sign("✗", style::FAILED)),
            StepEvent::Undone { took } => format!(
                "  {} removed: {title} ({})",
                sign("-", style::REMOVED),
                seconds(*took)
            ),
            StepEvent::UndoFailed { error } => format!(
                "  {} not removed: {title}: {}",
                sign("✗", style::FAILED),
                clean(error)
            ),
        })
    }

    fn bar(&self, event: &Event) {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::Step { id, title, what } = event {
            match what {
                StepEvent::Started { .. } | StepEvent::Undoing => {
                    let bar = self
                        .bars
                        .add(ProgressBar::new_spinner().with_message(clean(title)));
                    if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} ({elapsed})")
                    {
                        bar.set_style(style);
                    }
                    bar.enable_steady_tick(Duration::from_millis(100));
                    active.insert(id.to_string(), bar);
                }
                StepEvent::Done { .. }
                | StepEvent::Failed { .. }
                | StepEvent::Undone { .. }
                | StepEvent::UndoFailed { .. } => {
                    if let Some(bar) = active.remove(&id.to_string()) {
                        bar.finish_and_clear();
                    }
                }
            }
        }
        if let Some(line) = self.line(event) {
            // Above the bars. stderr was a terminal at the start, so an error means that the terminal is gone.
            let _ = self.bars.println(line);
        }
    }
}

/// Returns an event as `--events json` prints it, with times in seconds. Programs depend on this format.
fn as_json(event: &Event) -> Value {
    let (id, title, what) = match event {
        Event::Note(text) => return json!({"event": "note", "text": text}),
        Event::Warning(text) => return json!({"event": "warning", "text": text}),
        Event::Step { id, title, what } => (id.to_string(), title, what),
    };
    match what {
        StepEvent::Started { drift } => {
            json!({"event": "started", "id": id, "step": title, "drift": drift})
        }
        StepEvent::Done { took } => {
            json!({"event": "done", "id": id, "step": title, "seconds": took.as_secs_f64()})
        }
        StepEvent::Failed { error } => {
            json!({"event": "failed", "id": id, "step": title, "error": error})
        }
        StepEvent::Undoing => json!({"event": "undoing", "id": id, "step": title}),
        StepEvent::Undone { took } => {
            json!({"event": "undone", "id": id, "step": title, "seconds": took.as_secs_f64()})
        }
        StepEvent::UndoFailed { error } => {
            json!({"event": "undo-failed", "id": id, "step": title, "error": error})
        }
    }
}
