//! CA certificates that a user brings along.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Invalid;
use crate::pki;

/// One or more certificates in PEM, and nothing else: what stood between them is not taken on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaBundle(String);

impl CaBundle {
    /// The certificates as one text.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.0
    }
}

impl FromStr for CaBundle {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        pki::certificates(value).map(Self).map_err(|error| Invalid {
            what: "file of CA certificates",
            // It may be long, and it may be a key.
            value: "this".to_owned(),
            why: error.to_string(),
        })
    }
}

impl TryFrom<String> for CaBundle {
    type Error = Invalid;
    fn try_from(value: String) -> Result<Self, Invalid> {
        value.parse()
    }
}

impl From<CaBundle> for String {
    fn from(value: CaBundle) -> Self {
        value.0
    }
}

impl fmt::Debug for CaBundle {
    /// Short: it stands in a Spec, which is shown whole where a test fails.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaBundle({} bytes)", self.0.len())
    }
}
