//! The settings of one cluster and its registries, valid by construction.
//!
//! Each value is parsed once, into a type that can't hold an invalid one. Nothing here reads a file or the environment:
//! `cli` passes in the text of both.

use serde::{Deserialize, Serialize};

mod backend;
mod certificate;
mod conflicts;
mod difference;
mod domain;
mod external;
pub mod file;
mod image;
mod kind_config;
mod layers;
mod mirror;
pub mod mistake;
mod name;
mod node_image;
mod number;
pub mod overrides;
mod reader;
mod registry;
pub mod request;
mod target;

pub use backend::{Backend, Cache, Distribution, External, ExternalLogin, Serves};
pub(crate) use certificate::required_names;
pub use certificate::{CertificateSource, Fingerprint, Loopback, OwnCertificate, UserCertificate};
pub use external::{Address, Authorities, ProofImageRef, VariableName, Variables};
pub use image::ImageRef;
pub use kind_config::{CniPlugin, IpFamily, KindConfig};
pub(crate) use kind_config::{PLUGINS, registry_tables};
pub use mirror::{MirrorOf, Upstream};
pub use name::{ClusterName, Host, RegistryName};
pub(crate) use name::{checked_string, invalid, label};
pub use node_image::{DefaultNodeImage, KindVersion, NEWEST_KIND, OLDEST_KIND};
pub use number::{ControlPlanes, Port, Workers};
pub use registry::{Authentication, DEFAULT_FOLDER, Mirrored, Registry, Trust};
pub use target::{OwnedCluster, Target};

/// An invalid value, and the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {value:?}: {why}")]
pub struct Invalid {
    /// The field in a user's words ("cluster name").
    pub what: &'static str,
    /// The value as it was written.
    pub value: String,
    /// The rule that it breaks, as `must be between 1 and 65535`.
    pub why: String,
}

/// The wanted state: a kind cluster and the registries that each of its nodes trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Name of the cluster.
    pub cluster: ClusterName,
    /// The cluster's settings.
    pub target: Target,
    /// The registries, in the order of the file.
    pub registries: Vec<Registry>,
    /// Whether the engine's host trusts the registries too.
    pub host_trust: HostTrust,
}

/// Who may use a registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Clients that have its password.
    #[default]
    Password,
    /// All clients.
    Anonymous,
}

/// What happens to a registry's images on `down`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Data {
    /// They are removed.
    #[default]
    Discard,
    /// Their volume stays, and the next `up` uses it again.
    Keep,
}

impl Data {
    /// Returns the value of the label that says so.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Discard => "discard",
            Self::Keep => "keep",
        }
    }
}

/// Whether `/etc/docker/certs.d` of the engine's host gets the registries' CAs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostTrust {
    /// Yes: they are written through the engine, without sudo.
    #[default]
    Install,
    /// No: the folder stays as it is.
    Leave,
}

/// A valid setting that often causes trouble later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A host name in `.local`, which is reserved for multicast DNS (RFC 6762).
    MulticastName(Host),
    /// Port 5000, on which macOS answers itself (`AirPlay` Receiver).
    AirPlayPort,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MulticastName(host) => write!(
                f,
                "host name {host} ends in .local, which is reserved for multicast DNS (RFC 6762): lookups may be slow \
                 or fail; use a name in .test"
            ),
            Self::AirPlayPort => f.write_str(
                "port 5000 is in use on macOS (AirPlay Receiver); use another one, such as 5001",
            ),
        }
    }
}

impl Spec {
    /// Returns the registries that kindreg runs itself.
    pub fn managed(&self) -> impl Iterator<Item = &Registry> {
        self.registries
            .iter()
            .filter(|registry| match registry.backend {
                Backend::Distribution(_) => true,
                Backend::External(_) => false,
            })
    }

    /// Returns the registries that somebody else runs, each with its settings.
    pub fn externals(&self) -> impl Iterator<Item = (&Registry, &External)> {
        self.registries
            .iter()
            .filter_map(|registry| match &registry.backend {
                Backend::Distribution(_) => None,
                Backend::External(external) => Some((registry, external)),
            })
    }

    /// Returns the registries that ask for a password.
    pub fn authenticated(&self) -> impl Iterator<Item = &Registry> {
        self.registries
            .iter()
            .filter(|registry| registry.authentication() != Authentication::Anonymous)
    }

    /// Returns the pull-through caches among the registries, each with its upstream.
    pub fn caches(&self) -> impl Iterator<Item = (&Registry, &Cache)> {
        self.registries
            .iter()
            .filter_map(|registry| match registry.mirrored()? {
                Mirrored::Upstream(cache) => Some((registry, cache)),
                Mirrored::Everything => None,
            })
    }

    /// Returns the registries whose CA the engine's host gets. It trusts public CAs already.
    pub fn host_trusted(&self) -> impl Iterator<Item = &Registry> {
        let install = self.host_trust == HostTrust::Install;
        let all = self.registries.iter();
        all.filter(move |registry| install && registry.trust() != Trust::Public)
    }

    /// Returns warnings about settings that are valid and often cause trouble.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut all = Vec::new();
        // The user can't choose the name and port of a registry that somebody else runs.
        for registry in self.managed() {
            if registry.host.as_str().rsplit('.').next() == Some("local") {
                all.push(Warning::MulticastName(registry.host.clone()));
            }
            if registry.port.number() == 5000 {
                all.push(Warning::AirPlayPort);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::registry::tests::registry;
    use super::*;

    #[test]
    fn multicast_names_and_the_airplay_port_give_warnings() {
        let spec = |host, port| Spec {
            cluster: "c".parse().unwrap(),
            target: Target::Owned(OwnedCluster {
                control_planes: ControlPlanes::default(),
                workers: Workers::new(0).unwrap(),
                kind_config: None,
                node_image: "kindest/node:v1".parse().unwrap(),
            }),
            registries: vec![registry(host, port)],
            host_trust: HostTrust::Install,
        };
        assert_eq!(spec("nexus.local", 5000).warnings().len(), 2);
        assert_eq!(spec("registry.test", 5001).warnings(), []);
    }
}
