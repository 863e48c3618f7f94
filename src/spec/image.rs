//! Image references, by the grammar of <https://github.com/distribution/reference/blob/main/reference.go>.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Invalid;
use super::name::{checked_string, invalid};

/// An image reference: `[domain/]path[:tag][@digest]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef(String);
checked_string!(ImageRef, check);

impl ImageRef {
    /// Returns the reference without its digest; `None` if it has none, or nothing else to find the image by.
    #[must_use]
    pub fn without_digest(&self) -> Option<&str> {
        let (rest, _) = self.0.split_once('@')?;
        let name = rest.rsplit('/').next().unwrap_or(rest);
        name.contains(':').then_some(rest)
    }

    /// Returns a reference that the code lists. A test checks that it is valid.
    pub(super) fn listed(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// Returns the default image of registries.
    #[must_use]
    pub fn registry() -> Self {
        Self("registry:3".to_owned())
    }
}

fn check(value: &str) -> Result<(), Invalid> {
    let refuse = |why: &str| Err(invalid("image reference", value, why));
    let (rest, digest) = value
        .split_once('@')
        .map_or((value, None), |(rest, digest)| (rest, Some(digest)));
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return refuse("the digest must be \"sha256:\" and 64 lower-case hexadecimal digits");
    }
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return refuse(
            "the tag must be at most 128 letters, digits, '_', '.' or '-', without '.' or '-' first",
        );
    }
    if name.is_empty() || name.len() > 255 {
        return refuse("the name must be 1 to 255 characters");
    }
    // A first part that is not a domain may still be part of the path, as in the grammar: `0.a_a/0`.
    let path = match name.split_once('/') {
        Some((first, path))
            if (first.contains(['.', ':']) || first == "localhost") && is_domain(first) =>
        {
            path
        }
        _ => name,
    };
    if path.split('/').all(is_component) {
        Ok(())
    } else {
        refuse(
            "each part of the path must be lower-case letters and digits, joined by '.', '_', '__' or '-'",
        )
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex
                .chars()
                .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
    })
}

fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn is_domain(text: &str) -> bool {
    let (host, port) = text
        .split_once(':')
        .map_or((text, None), |(host, port)| (host, Some(port)));
    port.is_none_or(|port| port.parse::<u16>().is_ok())
        && host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
}

fn is_component(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators_hold = text.split(word).all(|between| {
        matches!(between, "" | "." | "_" | "__") || between.chars().all(|c| c == '-')
    });
    text.starts_with(word) && text.ends_with(word) && separators_hold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_also_found_by_its_tag() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, tagged) in [
            (format!("kindest/node:v1@{digest}"), Some("kindest/node:v1")),
            (format!("localhost:5001/a@{digest}"), None),
            ("kindest/node:v1".to_owned(), None),
        ] {
            let image: ImageRef = text.parse().unwrap();
            assert_eq!(image.without_digest(), tagged, "{text}");
        }
    }

    #[test]
    fn references_follow_the_grammar() {
        assert!("0.a_a/0".parse::<ImageRef>().is_ok());
        for default in [ImageRef::node(), ImageRef::registry()] {
            assert_eq!(default.as_str().parse(), Ok(default.clone()));
        }
        let digest = format!("registry@sha256:{}", "a".repeat(64));
        for good in [
            "registry:3",
            "kindest/node:v1.34.4",
            "docker.io/library/busybox",
            "nexus.local/my-docker/busybox:1",
            "localhost:5001/a/b__c:latest",
            "a--b/c.d_e",
            &digest,
        ] {
            assert!(good.parse::<ImageRef>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ":3",
            "Upper/case",
            "a//b",
            "a/",
            "/a",
            "a b",
            "a:b c",
            "a:-x",
            "a@sha256:12",
            "../x",
            "a..b",
            "a_-b",
            "-v",
            "host:99999/a",
            "a\n",
            "a:\"",
            "a@b@c",
            "-h.test:1/a",
        ] {
            assert!(bad.parse::<ImageRef>().is_err(), "{bad:?}");
        }
    }
}
