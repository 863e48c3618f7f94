//! Numbers of a Spec: ports and counts of nodes, each within what makes sense.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Invalid;
use super::name::invalid;

/// A TCP port that can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Port(u16);

impl Port {
    /// The port of HTTPS, which image references leave out.
    pub const HTTPS: Self = Self(443);

    /// A port from its number; 0 is refused.
    pub fn new(number: u16) -> Result<Self, Invalid> {
        if number == 0 {
            Err(invalid("port", "0", "ports go from 1 to 65535"))
        } else {
            Ok(Self(number))
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl Default for Port {
    /// Free everywhere, where 5000 is not: macOS answers there itself.
    fn default() -> Self {
        Self(5001)
    }
}

impl FromStr for Port {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        value
            .parse()
            .map_err(|_| invalid("port", value, "ports go from 1 to 65535"))
            .and_then(Self::new)
    }
}

impl TryFrom<u16> for Port {
    type Error = Invalid;
    fn try_from(number: u16) -> Result<Self, Invalid> {
        Self::new(number)
    }
}

impl From<Port> for u16 {
    fn from(port: Port) -> Self {
        port.0
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of worker nodes. More than 50 do not fit any one machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Workers(u16);

impl Workers {
    /// A number of workers, at most 50.
    pub fn new(number: u16) -> Result<Self, Invalid> {
        if number > 50 {
            Err(invalid(
                "number of workers",
                &number.to_string(),
                "at most 50 fit one machine",
            ))
        } else {
            Ok(Self(number))
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl FromStr for Workers {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        value
            .parse()
            .map_err(|_| invalid("number of workers", value, "a number from 0 to 50"))
            .and_then(Self::new)
    }
}

impl TryFrom<u16> for Workers {
    type Error = Invalid;
    fn try_from(number: u16) -> Result<Self, Invalid> {
        Self::new(number)
    }
}

impl From<Workers> for u16 {
    fn from(workers: Workers) -> Self {
        workers.0
    }
}

/// Number of control planes: an odd one keeps a majority in etcd, and more than 5 help nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct ControlPlanes(u16);

impl ControlPlanes {
    /// A number of control planes: 1, 3 or 5.
    pub fn new(number: u16) -> Result<Self, Invalid> {
        if matches!(number, 1 | 3 | 5) {
            Ok(Self(number))
        } else {
            Err(invalid(
                "number of control planes",
                &number.to_string(),
                "1, 3 or 5",
            ))
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl Default for ControlPlanes {
    fn default() -> Self {
        Self(1)
    }
}

impl FromStr for ControlPlanes {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        let number = value
            .parse()
            .map_err(|_| invalid("number of control planes", value, "1, 3 or 5"));
        number.and_then(Self::new)
    }
}

impl TryFrom<u16> for ControlPlanes {
    type Error = Invalid;
    fn try_from(number: u16) -> Result<Self, Invalid> {
        Self::new(number)
    }
}

impl From<ControlPlanes> for u16 {
    fn from(number: ControlPlanes) -> Self {
        number.0
    }
}
