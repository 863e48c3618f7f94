//! The numbers in a Spec: ports and node counts, each within its valid range.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Invalid;
use super::name::invalid;

const PORT_RANGE: &str = "must be between 1 and 65535";
const WORKERS_RANGE: &str = "must be between 0 and 50";
const CONTROL_PLANE_COUNTS: &str = "must be 1, 3 or 5";

/// A TCP port, from 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Port(u16);

impl Port {
    /// The port of HTTPS, which image references leave out.
    pub const HTTPS: Self = Self(443);

    /// Returns a port from its number.
    ///
    /// # Errors
    /// 0 is invalid.
    pub fn new(number: u16) -> Result<Self, Invalid> {
        if number == 0 {
            Err(invalid("port", "0", PORT_RANGE))
        } else {
            Ok(Self(number))
        }
    }

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl Default for Port {
    /// Returns 5001. On macOS, port 5000 is in use by `AirPlay` Receiver.
    fn default() -> Self {
        Self(5001)
    }
}

impl FromStr for Port {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        value
            .parse()
            .map_err(|_| invalid("port", value, PORT_RANGE))
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

/// Number of worker nodes, at most 50: more do not fit on one machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Workers(u16);

impl Workers {
    /// Returns a number of workers.
    ///
    /// # Errors
    /// More than 50 are invalid.
    pub fn new(number: u16) -> Result<Self, Invalid> {
        if number > 50 {
            Err(invalid(
                "number of workers",
                &number.to_string(),
                WORKERS_RANGE,
            ))
        } else {
            Ok(Self(number))
        }
    }

    /// Returns the number.
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
            .map_err(|_| invalid("number of workers", value, WORKERS_RANGE))
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

/// Number of control-plane nodes: 1, 3 or 5, as etcd needs a majority and more than 5 make it slower, not safer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct ControlPlanes(u16);

impl ControlPlanes {
    /// Returns a number of control planes.
    ///
    /// # Errors
    /// Numbers other than 1, 3 and 5 are invalid.
    pub fn new(number: u16) -> Result<Self, Invalid> {
        if matches!(number, 1 | 3 | 5) {
            Ok(Self(number))
        } else {
            Err(invalid(
                "number of control planes",
                &number.to_string(),
                CONTROL_PLANE_COUNTS,
            ))
        }
    }

    /// Returns the number.
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
            .map_err(|_| invalid("number of control planes", value, CONTROL_PLANE_COUNTS));
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

/// A port, or `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortRequest {
    /// This port.
    Fixed(Port),
    /// The port that the registry already has, or else the first free one.
    Auto,
}

impl FromStr for PortRequest {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        if value == "auto" {
            return Ok(Self::Auto);
        }
        value.parse().map(Self::Fixed).map_err(|_| Invalid {
            what: "port",
            value: value.to_owned(),
            why: "must be between 1 and 65535, or \"auto\"".to_owned(),
        })
    }
}

impl Default for PortRequest {
    fn default() -> Self {
        Self::Fixed(Port::default())
    }
}

impl fmt::Display for PortRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(port) => port.fmt(f),
            Self::Auto => f.write_str("auto"),
        }
    }
}
