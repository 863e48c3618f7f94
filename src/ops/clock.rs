//! Where the time of a run goes: the events of its steps, added up.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::{Event, StepEvent};
use crate::report::{StepTime, Time};

/// Measures a run from its start.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    steps: Mutex<BTreeMap<String, (String, Duration)>>,
}

impl Clock {
    /// Starts a clock.
    pub(super) fn start() -> Self {
        Self {
            start: Instant::now(),
            steps: Mutex::default(),
        }
    }

    /// Hears an event.
    pub(super) fn hear(&self, event: &Event) {
        if let Event::Step {
            id,
            title,
            what: StepEvent::Done { took },
        } = event
        {
            let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
            steps.insert(id.to_string(), (title.clone(), *took));
        }
    }

    /// Returns the times until now.
    pub(super) fn read(&self) -> Time {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let steps = steps.iter().map(|(id, (title, took))| StepTime {
            id: id.clone(),
            step: title.clone(),
            took: *took,
        });
        Time {
            whole: self.start.elapsed(),
            steps: steps.collect(),
        }
    }
}
