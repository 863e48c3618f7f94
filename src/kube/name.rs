//! Names of Kubernetes objects that a user types. Each refuses what would not be one segment of an API path.
//!
//! The rules: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>.

use std::fmt;
use std::str::FromStr;

use crate::spec::Invalid;

/// Name of a namespace: one DNS label of at most 63 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(String);

/// Name of a Secret or a service account: DNS labels with dots between, at most 253 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName(String);

impl FromStr for Namespace {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        if is_label(value) && value.len() <= 63 {
            return Ok(Self(value.to_owned()));
        }
        Err(Invalid {
            what: "namespace",
            value: value.to_owned(),
            why: "lower-case letters, digits and inner hyphens, at most 63 characters".to_owned(),
        })
    }
}

impl FromStr for ObjectName {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        if value.split('.').all(is_label) && value.len() <= 253 {
            return Ok(Self(value.to_owned()));
        }
        Err(Invalid {
            what: "name of a Kubernetes object",
            value: value.to_owned(),
            why: "lower-case letters, digits, inner hyphens and dots, at most 253 characters"
                .to_owned(),
        })
    }
}

impl Namespace {
    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ObjectName {
    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(value: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    value.starts_with(edge) && value.ends_with(edge) && value.chars().all(|c| edge(c) || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_segment_of_a_path_is_no_name() {
        for nasty in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            "a%2fb",
            "a?b",
            "a b",
            "A",
            "-a",
            "a-",
            "a\n",
            "a..b",
            &"a".repeat(254),
        ] {
            assert!(nasty.parse::<Namespace>().is_err(), "{nasty:?}");
            assert!(nasty.parse::<ObjectName>().is_err(), "{nasty:?}");
        }
        assert!("a.b".parse::<Namespace>().is_err());
        assert!("a".repeat(64).parse::<Namespace>().is_err());
        assert_eq!("team-a".parse::<Namespace>().unwrap().as_str(), "team-a");
        assert_eq!("a.b-c".parse::<ObjectName>().unwrap().as_str(), "a.b-c");
    }
}
