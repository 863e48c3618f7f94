//! An expected failure: what happened, what to type next, and the exit code.
//!
//! Anything else that fails is a bug or the world's own fault, and is shown with its chain of causes alone.

use std::fmt;

/// Exit codes of the program; part of its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// What was asked about is not ready, or not there.
    NotReady = 3,
    /// Something has our name and is not ours.
    Foreign = 4,
    /// Ctrl-C.
    Interrupted = 130,
}

/// An expected failure with its remedy.
///
/// Put it under an error with [`anyhow::Error::context`], or return it alone; it is found again by `downcast_ref`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    what: String,
    hint: String,
    exit: Exit,
}

impl Problem {
    /// A failure (exit code 1): `what` as a lower-case sentence fragment, `hint` as what to do next.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: hint.into(),
            exit: Exit::Failed,
        }
    }

    /// Something has our name and is not ours (exit code 4).
    pub fn foreign(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: Exit::Foreign,
            ..Self::new(what, hint)
        }
    }

    /// Wrong usage (exit code 2).
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            ..Self::new(what, hint)
        }
    }

    /// Not ready, or not there (exit code 3).
    pub fn not_ready(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: Exit::NotReady,
            ..Self::new(what, hint)
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// The exit code.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Problem {}

/// Several failures of one run, none of which is the cause of another.
#[derive(Debug)]
pub struct Several(Vec<anyhow::Error>);

impl Several {
    /// Returns the failures, in the order of the plan.
    #[must_use]
    pub fn failures(&self) -> &[anyhow::Error] {
        &self.0
    }
}

impl fmt::Display for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, failure) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; also: " };
            write!(f, "{separator}{failure:#}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Several {}

/// Returns failures as one error; `None` where there are none.
#[must_use]
pub fn together(mut failures: Vec<anyhow::Error>) -> Option<anyhow::Error> {
    match failures.len() {
        0 => None,
        1 => failures.pop(),
        _ => Some(Several(failures).into()),
    }
}

/// Finds a typed cause of an error, or of the first of several that has one.
#[must_use]
pub fn find<T: fmt::Display + fmt::Debug + Send + Sync + 'static>(
    error: &anyhow::Error,
) -> Option<&T> {
    match error.downcast_ref::<Several>() {
        Some(several) => several.0.iter().find_map(find),
        None => error.downcast_ref(),
    }
}
