//! Values in the settings of registries that somebody else runs: addresses, CAs, variable names, images.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::name::{checked_string, invalid};
use super::{ImageRef, Invalid};
use crate::pki::{self, Flaw, Inspection};

/// The names of two environment variables that hold credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variables {
    /// The variable that holds the user name.
    pub username: VariableName,
    /// The variable that holds the password.
    pub password: VariableName,
}

/// Name of an environment variable: at most 100 letters, digits and underscores, no digit first (POSIX.1, section 8.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VariableName(String);
checked_string!(VariableName, |value| {
    let sign = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    let digit = value.starts_with(|sign: char| sign.is_ascii_digit());
    if !value.is_empty() && value.len() <= 100 && !digit && value.chars().all(sign) {
        return Ok(());
    }
    let why = "must be at most 100 letters, digits and underscores, without a digit first; give the variable's name, \
               not the secret";
    Err(invalid("variable name", value, why))
});

/// The IP address of a registry, as nodes reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(IpAddr);

impl FromStr for Address {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        let refuse = |why| Err(invalid("address", value, why));
        let Ok(address) = value.parse::<IpAddr>() else {
            return refuse("must be an IP address such as 10.0.0.5");
        };
        let nowhere = match address {
            IpAddr::V4(v4) => v4.is_broadcast() || v4.octets()[0] == 0,
            IpAddr::V6(v6) => v6 == Ipv6Addr::UNSPECIFIED || v6.to_ipv4_mapped().is_some(),
        };
        if address.is_loopback() {
            refuse("must be reachable from nodes, where a loopback address is the node itself")
        } else if nowhere || address.is_multicast() {
            refuse("must be the address of one machine")
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

/// An image reference without the registry's host: `team/base:1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProofImageRef(String);
checked_string!(ProofImageRef, |value| {
    // It is checked with a host before it, as it will be used.
    let whole = format!("registry.test:5001/{value}").parse::<ImageRef>();
    whole.map(drop).map_err(|error| {
        let why = format!(
            "must be an image reference without a host, such as team/base:1; {}",
            error.why
        );
        invalid("proof image", value, why)
    })
});

/// The certificates of one or several certificate authorities (CAs) in PEM, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Authorities(String);

/// The most bytes of PEM, as it has to fit a label of the record. A company has a handful of CAs.
const LARGEST: usize = 64 * 1024;

impl Authorities {
    /// Reads the text of a file of CA certificates, and leaves out all text around them. `now` is the current time.
    ///
    /// # Errors
    /// Why the text is invalid: it has no CA certificate, an expired one, a private key, or more than 64 KiB.
    pub fn read(text: &str, now: OffsetDateTime) -> Result<Self, String> {
        if text.contains("PRIVATE KEY-----") {
            return Err("contains a private key".to_owned());
        }
        let found = pki::authorities(text).map_err(|flaw| flaw.to_string())?;
        if let Some(ended) = found.iter().find(|one| one.not_after < now) {
            return Err(format!("{} expired at {}", ended.subject, ended.not_after));
        }
        let pem = pki::certificates_alone(text).map_err(|flaw| flaw.to_string())?;
        if pem.len() > LARGEST {
            return Err(format!(
                "contains more than {} KiB of certificates",
                LARGEST / 1024
            ));
        }
        Ok(Self(pem))
    }

    /// Returns the PEM text.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.0
    }

    /// Returns the certificate that expires first.
    #[must_use]
    pub fn first_to_expire(&self) -> Option<Inspection> {
        let all = pki::authorities(&self.0).unwrap_or_default();
        all.into_iter().min_by_key(|one| one.not_after)
    }
}

impl TryFrom<String> for Authorities {
    type Error = Flaw;
    /// Reads the certificates of a record. Expired ones are valid here, as they must not make `down` fail.
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
