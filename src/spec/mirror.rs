//! The `mirror_of` setting: the other registries whose images a registry serves.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::domain::{api_host, domain};
use super::name::invalid;
use super::{Host, Invalid, Port};

/// The value of `mirror_of`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MirrorOf {
    /// It is a pull-through cache of this registry, and accepts no pushes.
    Registry(Upstream),
    /// `*`: it accepts pushes, and nodes also ask it first for images of every registry that they have no settings for.
    Every,
}

/// The upstream registry of a cache, as image references write it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Upstream {
    /// Its host name.
    pub host: Host,
    /// Its port; `None` means 443.
    pub port: Option<Port>,
}

impl Upstream {
    /// Returns the URL of its API.
    #[must_use]
    pub fn url(&self) -> String {
        match self.port {
            None => format!("https://{}", api_host(&self.host)),
            Some(port) => format!("https://{}:{port}", api_host(&self.host)),
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            None => self.host.fmt(f),
            Some(port) => f.write_str(&domain(self.host.as_str(), port)),
        }
    }
}

impl FromStr for Upstream {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        let (host, port) = match value.split_once(':') {
            None => (value, None),
            Some((host, port)) => (host, Some(port)),
        };
        let upstream = Self {
            host: host.parse()?,
            port: port.map(str::parse::<Port>).transpose()?,
        };
        // containerd looks up folders of certs.d by the text of the reference.
        if upstream.to_string() == value {
            Ok(upstream)
        } else {
            let why = format!("must be {upstream}, as image references write it");
            Err(invalid("upstream registry", value, why))
        }
    }
}

impl TryFrom<String> for Upstream {
    type Error = Invalid;
    fn try_from(value: String) -> Result<Self, Invalid> {
        value.parse()
    }
}

impl From<Upstream> for String {
    fn from(upstream: Upstream) -> Self {
        upstream.to_string()
    }
}

impl FromStr for MirrorOf {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        match value {
            "*" => Ok(Self::Every),
            _ => value.parse().map(Self::Registry),
        }
    }
}

impl fmt::Display for MirrorOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(upstream) => upstream.fmt(f),
            Self::Every => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_of_is_a_host_with_or_without_a_port_or_an_asterisk() {
        for (text, url) in [
            ("docker.io", "https://registry-1.docker.io"),
            ("quay.io", "https://quay.io"),
            ("nexus.test:8443", "https://nexus.test:8443"),
        ] {
            let Ok(MirrorOf::Registry(upstream)) = text.parse() else {
                panic!("{text}")
            };
            assert_eq!(upstream.url(), url);
            assert_eq!(MirrorOf::Registry(upstream).to_string(), text);
        }
        assert_eq!("*".parse(), Ok(MirrorOf::Every));
        for bad in [
            "",
            "**",
            "a.test:",
            "a.test:0",
            "a.test:443",
            "a.test:+80",
            "a.test:080",
            "a:b:80",
            "a.test:65536",
            "https://a.test",
            "a.test/b",
            "10.0.0.5:5000",
            "localhost:5000",
            "*:5000",
        ] {
            assert!(bad.parse::<MirrorOf>().is_err(), "{bad:?}");
        }
    }
}
