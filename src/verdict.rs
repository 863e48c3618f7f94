//! The results of pulls by nodes and of pushes by the engine, as plain data. `steps::proof` reads them from kubelet's messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The result of one node's pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No result yet, with what the pod waits for.
    Open(String),
    /// The node pulled the image, or got the answer that was expected.
    Proven,
    /// The pull failed, with the node's own message.
    Refused(String),
    /// The node pulled the image, and its settings do not show that it verified the registry's certificate.
    Unverified {
        /// What is wrong with the settings.
        why: String,
        /// What the user has to do; `None` if `kindreg up` repairs it.
        by_hand: Option<String>,
    },
}

/// The results of the pods, by node name.
pub type Verdicts = BTreeMap<String, Verdict>;

/// The results of one registry's proofs in this run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// The pulls that must succeed; `None` if none was tried.
    pub pulls: Option<Verdicts>,
    /// The pulls without the registry's CA, which must fail; `None` if none was tried.
    pub without_ca: Option<Verdicts>,
    /// The engine's first push, of this run or an earlier one; `None` if it is not known.
    pub first_push: Option<FirstPush>,
}

/// What the engine did with a push to `localhost:port` before it had the registry's CA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirstPush {
    /// It refused the registry's certificate.
    Refused,
    /// It accepted the registry's certificate. The text names the engine.
    Accepted(String),
    /// It refused for another reason, which says nothing about the certificate.
    Failed(String),
    /// It was not tried, because the engine reads settings of somebody else for that name, from this path.
    Obstructed(String),
}

impl Verdict {
    /// Returns why the pull is not proven, in the node's own words; `None` if it is.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Proven => None,
            Self::Open(why) | Self::Refused(why) | Self::Unverified { why, .. } => Some(why),
        }
    }
}
