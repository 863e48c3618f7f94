//! Counts calls, and makes chosen ones fail, without knowing what they do.

use std::collections::BTreeMap;

use super::super::{DockerError, Result};

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails before it has an effect.
    Error,
    /// It has its effect, but its answer is lost.
    Dropped,
    /// It has no effect, and is never answered.
    Hang,
}

#[derive(Debug)]
pub(super) struct Faults {
    pub(super) calls: Vec<String>,
    pub(super) planned: BTreeMap<usize, Fault>,
    pub(super) killed: bool,
}

/// A call that reached the engine.
#[derive(Debug)]
#[must_use = "call settle: its answer may have to be lost"]
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

    /// Counts a call, and makes it fail if that is planned. Returns `None` for a call that is never answered.
    pub(super) fn enter(&mut self, doing: String) -> Result<Option<Call>> {
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
            Some(Fault::Dropped) => Ok(Some(Call {
                lost: Some(unreachable("connection reset by peer")),
            })),
            Some(Fault::Hang) => Ok(None),
            None => Ok(Some(Call { lost: None })),
        }
    }
}

const ADDRESS: &str = "fake://";

impl Call {
    /// Returns the answer, unless it has to be lost.
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

/// The error of a lost answer, which each port converts to its own error.
#[derive(Debug)]
pub(crate) struct Lost(pub(crate) DockerError);

impl From<Lost> for DockerError {
    fn from(Lost(error): Lost) -> Self {
        error
    }
}
