//! What settings say of registries that somebody else runs: addresses, CAs, names of variables, images.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::name::{checked_string, invalid};
use super::{ImageRef, Invalid};
use crate::pki::{self, Flaw, Inspection};

/// Names of environment variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variables {
    /// The one that holds the user.
    pub username: VariableName,
    /// The one that holds the password.
    pub password: VariableName,
}

/// Name of an environment variable: letters, digits and underscores, at most 100 of them (POSIX.1, section 8.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VariableName(String);
checked_string!(VariableName, |value| {
    let sign = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    let digit = value.starts_with(|sign: char| sign.is_ascii_digit());
    if !value.is_empty() && value.len() <= 100 && !digit && value.chars().all(sign) {
        return Ok(());
    }
    let why = "letters, digits and underscores, at most 100; it is the name, never the secret";
    Err(invalid("name of a variable", value, why))
});

/// An address under which nodes can reach something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(IpAddr);

impl FromStr for Address {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        let refuse = |why| Err(invalid("address", value, why));
        let Ok(address) = value.parse::<IpAddr>() else {
            return refuse("an IP address such as 10.0.0.5; a name that nodes resolve needs none");
        };
        let nowhere = match address {
            IpAddr::V4(v4) => v4.is_broadcast() || v4.octets()[0] == 0,
            IpAddr::V6(v6) => v6 == Ipv6Addr::UNSPECIFIED || v6.to_ipv4_mapped().is_some(),
        };
        if address.is_loopback() {
            refuse("in a node that is the node itself; give one that nodes reach")
        } else if nowhere || address.is_multicast() {
            refuse("no single machine has it")
        } else {
            Ok(Self(address))
        }
    }
}

impl TryFrom<String> for Address {
    type Error = Invalid;
    fn try_from(value: String) -> Result<Self, Invalid> {
        value.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An image within a registry, without its host: `team/base:1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProofImageRef(String);
checked_string!(ProofImageRef, |value| {
    // Behind a host it is checked as what it will be.
    let whole = format!("registry.test:5001/{value}").parse::<ImageRef>();
    whole.map(drop).map_err(|error| {
        let why = format!(
            "an image without its host, such as team/base:1; {}",
            error.why
        );
        invalid("image of the registry", value, why)
    })
});

/// The certificates of one or several authorities, in PEM, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Authorities(String);

/// More would not fit a label of the record; a company has a handful.
const LARGEST: usize = 64 * 1024;

impl Authorities {
    /// Reads a file of certificates, as of a time; what stands around them is left out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str, now: OffsetDateTime) -> Result<Self, String> {
        if text.contains("PRIVATE KEY-----") {
            return Err("it holds a private key, which belongs in no such file".to_owned());
        }
        let found = pki::authorities(text).map_err(|flaw| flaw.to_string())?;
        if let Some(ended) = found.iter().find(|one| one.not_after < now) {
            return Err(format!("{} expired at {}", ended.subject, ended.not_after));
        }
        let pem = pki::certificates_alone(text).map_err(|flaw| flaw.to_string())?;
        if pem.len() > LARGEST {
            return Err(format!(
                "its certificates have more than {} KiB",
                LARGEST / 1024
            ));
        }
        Ok(Self(pem))
    }

    /// The PEM text.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.0
    }

    /// The certificate that ends first.
    #[must_use]
    pub fn first_to_end(&self) -> Option<Inspection> {
        let all = pki::authorities(&self.0).unwrap_or_default();
        all.into_iter().min_by_key(|one| one.not_after)
    }
}

impl TryFrom<String> for Authorities {
    type Error = Flaw;
    /// A record's: one that has expired since must not keep `down` from its work.
    fn try_from(pem: String) -> Result<Self, Flaw> {
        pki::authorities(&pem)?;
        Ok(Self(pem))
    }
}

impl From<Authorities> for String {
    fn from(authorities: Authorities) -> Self {
        authorities.0
    }
}
