//! What a running plan tells. Prints nothing.

use std::time::Duration;

use crate::step::{Step, StepId};

/// An event of a running plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The run waits for something, or tells the user what it does next.
    Note(String),
    /// A text that the user should read although nothing failed.
    Warning(String),
    /// A step starts or ends.
    Step {
        /// The step's identity.
        id: StepId,
        /// The step's title.
        title: String,
        /// What happens to the step.
        what: StepEvent,
    },
}

/// What happens to a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEvent {
    /// The step starts.
    Started {
        /// The difference that the step repairs; `None` if it makes something that is missing.
        drift: Option<String>,
    },
    /// The step was applied.
    Done {
        /// The time that the step took.
        took: Duration,
    },
    /// The step failed. Roll-back follows, unless the run keeps what it made.
    Failed {
        /// The error with its chain of causes.
        error: String,
    },
    /// The step is being undone.
    Undoing,
    /// The step was undone.
    Undone {
        /// The time that undoing took.
        took: Duration,
    },
    /// The step could not be undone.
    UndoFailed {
        /// The error with its chain of causes.
        error: String,
    },
}

impl Event {
    pub(super) fn of(step: &dyn Step, what: StepEvent) -> Self {
        Self::Step {
            id: step.id(),
            title: step.title(),
            what,
        }
    }
}

/// A function that receives events, possibly from several lanes at once.
pub type Events<'a> = &'a (dyn Fn(Event) + Send + Sync);
