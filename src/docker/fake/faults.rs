//! Counting of calls, and faults made at a chosen one.
//!
//! Nothing here may know what a call does.

use std::collections::BTreeMap;

use super::super::{DockerError, Result};

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails before it did anything.
    Error,
    /// It takes effect, and the answer never arrives.
    Dropped,
}

#[derive(Debug)]
pub(super) struct Faults {
    pub(super) calls: Vec<String>,
    pub(super) planned: BTreeMap<usize, Fault>,
    pub(super) killed: bool,
}

/// A call that got through to the engine.
#[derive(Debug)]
#[must_use = "its answer may have to be lost: settle it"]
pub(crate) struct Call {
    lost: Option<DockerError>,
}

impl Faults {
    pub(super) fn new() -> Self {
        Self {
            calls: Vec::new(),
            planned: BTreeMap::new(),
            killed: false,
        }
    }

    /// Counts a call, and fails it if that was planned.
    pub(super) fn enter(&mut self, doing: String) -> Result<Call> {
        self.calls.push(doing.clone());
        let number = self.calls.len();
        let unreachable = |cause: &str| DockerError::Unreachable {
            address: ADDRESS.into(),
            cause: cause.into(),
        };
        if self.killed {
            return Err(unreachable("connection refused"));
        }
        match self.planned.get(&number) {
            Some(Fault::Error) => Err(DockerError::Other {
                doing,
                cause: format!("call {number} was made to fail"),
            }),
            Some(Fault::Dropped) => Ok(Call {
                lost: Some(unreachable("connection reset by peer")),
            }),
            None => Ok(Call { lost: None }),
        }
    }
}

const ADDRESS: &str = "fake://";

impl Call {
    /// The answer, unless it gets lost.
    pub(crate) fn settle<T, E: From<Lost>>(
        self,
        answer: std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        match self.lost {
            Some(error) => Err(Lost(error).into()),
            None => answer,
        }
    }
}

/// An answer that was lost, for each port's own error to be made of.
#[derive(Debug)]
pub(crate) struct Lost(pub(crate) DockerError);

impl From<Lost> for DockerError {
    fn from(Lost(error): Lost) -> Self {
        error
    }
}
