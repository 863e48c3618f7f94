//! Names of Kubernetes objects that a user types. Each type accepts only what is safe as one segment of an API path.
//!
//! The rules: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>.

use std::fmt;
use std::str::FromStr;

use crate::spec::{Invalid, checked_string, invalid, label};

/// Name of a namespace: one DNS label of at most 63 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(String);
checked_string!(Namespace, |value| label("namespace", value, 63));

/// Name of a Secret or a service account: DNS labels separated by dots, at most 253 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName(String);
checked_string!(ObjectName, |value| {
    let what = "Kubernetes name";
    if value.len() <= 253 && value.split('.').all(|part| label(what, part, 253).is_ok()) {
        return Ok(());
    }
    let rule = "must be at most 253 lower-case letters, digits, inner hyphens and dots";
    Err(invalid(what, value, rule))
});

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
