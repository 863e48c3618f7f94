//! Draws the engine's events: bars on a terminal, plain lines in a pipe, NDJSON for a program.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{Conversation, Printer};
use crate::engine::Event;

/// Takes events from several lanes at once.
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
    /// A drawing that leads the printer's conversation.
    #[must_use]
    pub fn new(printer: Printer) -> Self {
        Self {
            printer,
            bars: MultiProgress::new(),
            active: Mutex::default(),
        }
    }

    /// Draws one event.
    pub fn draw(&self, event: &Event) {
        match self.printer.conversation() {
            Conversation::Quiet => {}
            Conversation::Json => self.printer.say(&as_json(event).to_string()),
            Conversation::Lines => {
                if let Some(line) = self.line(event) {
                    self.printer.say(&line);
                }
            }
            Conversation::Bars => self.bar(event),
        }
    }

    /// Draws a line of what is done (`-v`, with which there are no bars).
    pub fn told(&self, text: &str) {
        self.printer.say(&match self.printer.conversation() {
            Conversation::Json => json!({"event": "trace", "text": text}).to_string(),
            _ => format!("  {} {text}", self.printer.styled("·", "2")),
        });
    }

    /// Takes the bars away, so that what follows is plain text.
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

    /// The line that an event leaves; a beginning leaves one only where there is a drift to tell.
    fn line(&self, event: &Event) -> Option<String> {
        let sign = |text, style| self.printer.styled(text, style);
        Some(match event {
            Event::Note(text) => format!("  … {text}"),
            Event::Started {
                step,
                drift: Some(why),
            } => format!("  {} {step}: {why}", sign("~", "33")),
            Event::Started { drift: None, .. } | Event::Undoing { .. } => return None,
            Event::Done { step, took } => {
                format!("  {} {step} ({})", sign("✓", "32"), seconds(*took))
            }
            Event::Failed { step } => format!("  {} {step}", sign("✗", "31")),
            Event::Undone { step, took } => {
                format!("  {} removed: {step} ({})", sign("-", "36"), seconds(*took))
            }
            Event::UndoFailed { step, error } => {
                format!("  {} not removed: {step}: {error}", sign("✗", "31"))
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
            // Above the bars; the terminal was tested, so a failure is a terminal that went away.
            let _ = self.bars.println(line);
        }
    }
}

/// An event as a program reads it. Part of the program's interface; times in seconds.
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
