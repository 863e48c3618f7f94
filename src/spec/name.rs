//! The names in a Spec. Each type accepts only what is safe as a path, a label, an argument and a line of YAML.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Invalid;

/// Implements parsing, printing, serialization and deserialization of a checked string type.
macro_rules! checked_string {
    ($type:ident, $check:expr) => {
        impl FromStr for $type {
            type Err = Invalid;
            fn from_str(value: &str) -> Result<Self, Invalid> {
                let check: fn(&str) -> Result<(), Invalid> = $check;
                check(value).map(|()| Self(value.to_owned()))
            }
        }
        impl TryFrom<String> for $type {
            type Error = Invalid;
            fn try_from(value: String) -> Result<Self, Invalid> {
                value.parse()
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl $type {
            /// Returns the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(crate) use checked_string;

/// Name of a kind cluster: one DNS label of at most 40 characters, so that `<name>-control-plane` and the names of
/// kindreg's objects stay within the 63 of a host name (RFC 1123).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterName(String);
checked_string!(ClusterName, |value| label("cluster name", value, 40));

impl Default for ClusterName {
    fn default() -> Self {
        Self("kindreg".to_owned())
    }
}

/// Name of a registry within a cluster: one DNS label of at most 20 characters; `lock` and `host` are reserved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegistryName(String);
checked_string!(RegistryName, |value| {
    if matches!(value, "lock" | "host") {
        return Err(invalid(
            "registry name",
            value,
            "must not be lock or host, which kindreg uses itself",
        ));
    }
    label("registry name", value, 20)
});

impl Default for RegistryName {
    fn default() -> Self {
        Self("registry".to_owned())
    }
}

/// Canonical host name of a registry: DNS labels in lower case (RFC 1123). IP addresses are invalid, and so is
/// `localhost`, which every registry answers to anyway.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(String);
checked_string!(Host, host);

impl Host {
    /// Returns the default host name of a registry: its name in `.test`, where nobody can own a domain (RFC 6761).
    #[must_use]
    pub fn of(name: &RegistryName) -> Self {
        Self(format!("{name}.test"))
    }
}

pub(crate) fn invalid(what: &'static str, value: &str, why: impl Into<String>) -> Invalid {
    Invalid {
        what,
        value: value.to_owned(),
        why: why.into(),
    }
}

/// Checks that a value is a DNS label (RFC 1123) of at most `limit` characters. `what` names it in the error.
pub(crate) fn label(what: &'static str, value: &str, limit: usize) -> Result<(), Invalid> {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = value.starts_with(edge)
        && value.ends_with(edge)
        && value.chars().all(|c| edge(c) || c == '-')
        && value.len() <= limit;
    if fits {
        Ok(())
    } else {
        let rule = format!("must be at most {limit} lower-case letters, digits and inner hyphens");
        Err(invalid(what, value, rule))
    }
}

fn host(value: &str) -> Result<(), Invalid> {
    let what = "host name";
    if value.parse::<std::net::IpAddr>().is_ok() {
        return Err(invalid(
            what,
            value,
            "must be a name such as registry.test, not an IP address",
        ));
    }
    if value == "localhost" {
        return Err(invalid(
            what,
            value,
            "must not be localhost, which every registry answers to anyway",
        ));
    }
    if value.len() > 253 {
        return Err(invalid(what, value, "must be at most 253 characters"));
    }
    value.split('.').try_for_each(|part| {
        label(what, part, 63).map_err(|_| {
            invalid(
                what,
                value,
                "must be lower-case letters, digits and inner hyphens, in parts separated by dots",
            )
        })
    })?;
    // RFC 3696, section 2: a host name whose last label is a number looks like an IP address.
    if value
        .rsplit('.')
        .next()
        .is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()))
    {
        return Err(invalid(what, value, "the last part must not be a number"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Port, Workers};

    #[test]
    fn hostile_names_are_refused() {
        let long = "a".repeat(64);
        for bad in [
            "",
            "-a",
            "a-",
            "../daemon.json",
            "a/b",
            "a b",
            "A",
            "a\n",
            "a\"",
            "a'",
            "a:b",
            "--name",
            "ä",
            "a..b",
            ".a",
            "a.",
            "*",
            "$(id)",
            "a\0",
            "127.0.0.1",
            "::1",
            "1.2.3",
            "localhost",
            &long,
        ] {
            assert!(bad.parse::<Host>().is_err(), "host {bad:?}");
        }
        for bad in ["", "-a", "../x", "a.b", "A", "a b", "a\n", "--help", &long] {
            assert!(bad.parse::<ClusterName>().is_err(), "cluster {bad:?}");
            assert!(bad.parse::<RegistryName>().is_err(), "registry {bad:?}");
        }
        assert!("lock".parse::<RegistryName>().is_err());
        for bad in ["0", "-1", "65536", "x", "", "5001 "] {
            assert!(bad.parse::<Port>().is_err(), "port {bad:?}");
        }
        assert!("51".parse::<Workers>().is_err());
    }

    #[test]
    fn default_names_are_valid() {
        let name = RegistryName::default();
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        let cluster = ClusterName::default();
        assert_eq!(cluster.as_str().parse(), Ok(cluster.clone()));
        assert_eq!(Host::of(&name).as_str(), "registry.test");
        assert_eq!(Host::of(&name).as_str().parse(), Ok(Host::of(&name)));
        let longest: RegistryName = "1".repeat(20).parse().unwrap();
        assert!(Host::of(&longest).as_str().parse::<Host>().is_ok());
        assert_eq!(Port::default().number(), 5001);
    }

    #[test]
    fn ordinary_names_are_valid_and_unchanged() {
        for good in [
            "registry.test",
            "nexus.local",
            "r",
            "a-b.c-d.internal",
            "1a.test",
        ] {
            assert_eq!(good.parse::<Host>().unwrap().as_str(), good);
        }
        assert_eq!(
            "kindreg".parse::<ClusterName>().unwrap().as_str(),
            "kindreg"
        );
        assert_eq!("5001".parse::<Port>().unwrap().number(), 5001);
    }

    #[test]
    fn values_from_a_record_are_validated_too() {
        assert!(serde_json::from_str::<Host>("\"../daemon.json\"").is_err());
        assert!(serde_json::from_str::<Port>("0").is_err());
        assert!(serde_json::from_str::<Workers>("1000").is_err());
        assert_eq!(
            serde_json::to_string(&Port::new(5001).unwrap()).unwrap(),
            "5001"
        );
    }
}
