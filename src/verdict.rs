//! What a pull by a node came to. Plain data; how kubelet's words are judged is `steps::proof`'s.

use std::collections::BTreeMap;

/// What a node's pod came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not known yet, and what it waits for.
    Open(String),
    /// It pulled, or had the answer that was wanted.
    Proven,
    /// It can't; why, in the node's own words.
    Refused(String),
}

/// What became of the pods, by their nodes' names.
pub type Verdicts = BTreeMap<String, Verdict>;

/// What the proofs of one registry came to in this run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Pulls that must work; `None` where none was tried.
    pub pulls: Option<Verdicts>,
    /// Pulls without the registry's CA, which must be refused; `None` where none was tried.
    pub without_ca: Option<Verdicts>,
}

impl Verdict {
    /// Returns why it is not proven, in the node's own words.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Proven => None,
            Self::Open(why) | Self::Refused(why) => Some(why),
        }
    }
}
