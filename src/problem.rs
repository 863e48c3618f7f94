//! Expected failures: each has a message, a hint and an exit code.
//!
//! Any other error is shown with its chain of causes only.

use std::fmt;

/// The program's exit codes, which are part of its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Success.
    Done = 0,
    /// Failure.
    Failed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// The cluster or registry is not ready, or does not exist.
    NotReady = 3,
    /// An object that kindreg did not create has one of kindreg's names.
    Foreign = 4,
    /// Interrupted by Ctrl-C.
    Interrupted = 130,
}

/// The words of a hint that stand for the command line of this run. The command line fills it in.
pub const AGAIN: &str = "run the command again";

/// An expected failure with a hint.
///
/// Add it to an error with [`anyhow::Error::context`], or return it alone; `downcast_ref` finds it either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    what: String,
    hint: String,
    exit: Exit,
}

impl Problem {
    /// Returns a failure with exit code 1. `what` is the message, in lower case and without a full stop; `hint` is the
    /// command to run or the thing to do next.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: hint.into(),
            exit: Exit::Failed,
        }
    }

    /// Returns a failure with exit code 4: an object that kindreg did not create has one of kindreg's names.
    pub fn foreign(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: Exit::Foreign,
            ..Self::new(what, hint)
        }
    }

    /// Returns a failure with exit code 2: wrong usage or configuration.
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            ..Self::new(what, hint)
        }
    }

    /// Returns a failure with exit code 3: the cluster or registry is not ready, or does not exist.
    pub fn not_ready(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: Exit::NotReady,
            ..Self::new(what, hint)
        }
    }

    /// Returns what to do next.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Returns the exit code.
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

/// A file or folder of a container that can't be read, because of what is there.
///
/// It says nothing about what kindreg made there: what has to be undone is undone unseen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("can't read {what}: {why}")]
pub struct Unreadable {
    /// The path and its container, as a phrase ("/etc/containerd in container x").
    pub what: String,
    /// The reason.
    pub why: String,
}

/// Several failures of one run that did not cause each other.
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

/// Returns failures as one error; `None` if there are none.
#[must_use]
pub fn combine(mut failures: Vec<anyhow::Error>) -> Option<anyhow::Error> {
    match failures.len() {
        0 => None,
        1 => failures.pop(),
        _ => Some(Several(failures).into()),
    }
}

/// Returns a failure together with an earlier one, if there was one.
#[must_use]
pub fn after(earlier: Option<anyhow::Error>, failure: anyhow::Error) -> anyhow::Error {
    match earlier {
        None => failure,
        Some(earlier) => Several(vec![earlier, failure]).into(),
    }
}

/// Returns the cause of type `T` of an error; for [`Several`], that of the first failure that has one.
#[must_use]
pub fn find<T: fmt::Display + fmt::Debug + Send + Sync + 'static>(
    error: &anyhow::Error,
) -> Option<&T> {
    match error.downcast_ref::<Several>() {
        Some(several) => several.0.iter().find_map(find),
        None => error.downcast_ref(),
    }
}
