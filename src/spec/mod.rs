//! The settings of one cluster and its registries, valid by construction.
//!
//! Each value is parsed once, into a type that can't hold an invalid one. Nothing here reads a file or the environment:
//! `cli` passes in the text of both.

use serde::{Deserialize, Serialize};

mod backend;
mod certificate;
mod difference;
mod external;
pub mod file;
mod fill;
mod image;
mod kind_config;
mod mirror;
pub mod mistake;
mod name;
mod number;
pub mod overrides;
mod reader;
pub mod request;
mod target;

pub use backend::{Backend, Cache, Distribution, External, ExternalLogin, Serves};
pub use certificate::CertificateSource;
pub use external::{Address, Authorities, ProofImageRef, VariableName, Variables};
pub use image::ImageRef;
pub use kind_config::KindConfig;
pub(crate) use kind_config::{PLUGINS, registry_tables};
pub use mirror::{MirrorOf, Upstream};
pub use name::{ClusterName, Host, RegistryName};
pub(crate) use name::{checked_string, invalid, label};
pub use number::{ControlPlanes, Port, Workers};
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

/// One registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Its name, which is part of the names of its objects (`kindreg-<cluster>-<name>`).
    pub name: RegistryName,
    /// Canonical host name, as image references write it.
    pub host: Host,
    /// TCP port, the same inside and outside the cluster's network.
    pub port: Port,
    /// Further host names that it answers to, on the same port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Host>,
    /// Who runs it, and its settings.
    pub backend: Backend,
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

/// The CA that clients of a registry must trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust<'a> {
    /// The CA in the registry's secret volume.
    Stored,
    /// A CA from a file that the user named.
    Given(&'a Authorities),
    /// A public CA, which clients trust by default.
    Public,
}

/// How clients of a registry authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// Not at all.
    Anonymous,
    /// With the credentials in the registry's secret volume.
    Stored,
    /// With the credentials in the user's docker config, or with those that the user types at a prompt.
    Docker,
    /// With the values of two environment variables.
    Variables(&'a Variables),
}

/// The other registries whose images a registry serves besides its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirrored<'a> {
    /// Every registry that nodes have no settings for.
    Everything,
    /// One registry, of which it is a pull-through cache.
    Upstream(&'a Cache),
}

impl Registry {
    /// Returns the domain as image references write it: `host:port`, without `:443`.
    #[must_use]
    pub fn domain(&self) -> String {
        domain(self.host.as_str(), self.port)
    }

    /// Returns the domain by which the engine's host reaches it without a resolver entry (`localhost:port`); `None`
    /// if somebody else runs it.
    #[must_use]
    pub fn local_domain(&self) -> Option<String> {
        match &self.backend {
            Backend::Distribution(_) => Some(domain("localhost", self.port)),
            Backend::External(_) => None,
        }
    }

    /// Returns the URL that nodes send their requests to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}:{}", api_host(&self.host), self.port)
    }

    /// Returns the CA that its clients must trust.
    #[must_use]
    pub const fn trust(&self) -> Trust<'_> {
        match &self.backend {
            Backend::Distribution(distribution) => match distribution.certificate {
                CertificateSource::Generated => Trust::Stored,
            },
            Backend::External(External { ca: Some(ca), .. }) => Trust::Given(ca),
            Backend::External(External { ca: None, .. }) => Trust::Public,
        }
    }

    /// Returns how its clients authenticate.
    #[must_use]
    pub const fn authentication(&self) -> Authentication<'_> {
        match &self.backend {
            Backend::Distribution(distribution) => match &distribution.serves {
                Serves::Pushed {
                    auth: Auth::Password,
                } => Authentication::Stored,
                Serves::Pushed {
                    auth: Auth::Anonymous,
                }
                | Serves::Everything
                | Serves::Cache(_) => Authentication::Anonymous,
            },
            Backend::External(external) => match &external.login {
                ExternalLogin::Anonymous => Authentication::Anonymous,
                ExternalLogin::Docker => Authentication::Docker,
                ExternalLogin::Variables(names) => Authentication::Variables(names),
            },
        }
    }

    /// Returns the other registries whose images it serves; `None` if it serves its own only.
    #[must_use]
    pub const fn mirrored(&self) -> Option<Mirrored<'_>> {
        match &self.backend {
            Backend::Distribution(distribution) => match &distribution.serves {
                Serves::Pushed { .. } => None,
                Serves::Everything => Some(Mirrored::Everything),
                Serves::Cache(cache) => Some(Mirrored::Upstream(cache)),
            },
            Backend::External(_) => None,
        }
    }

    /// Returns the names of its folders in containerd's certs.d: one for each of its domains, and one for what it
    /// mirrors.
    #[must_use]
    pub fn node_folders(&self) -> Vec<String> {
        let mut all = self.domains();
        all.extend(self.mirrored().map(Mirrored::folder));
        all
    }

    /// Returns every domain by which each node must pull from it to prove trust: its own, and one that it mirrors.
    #[must_use]
    pub fn proof_domains(&self) -> Vec<String> {
        let mut all = self.domains();
        all.extend(self.mirrored().map(|mirrored| match mirrored {
            Mirrored::Upstream(cache) => cache.upstream.to_string(),
            // Nobody else can answer for a name in `.invalid` (RFC 6761).
            Mirrored::Everything => "kindreg-proof.invalid".to_owned(),
        }));
        all
    }

    /// Returns its host names, the canonical one first.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        std::iter::once(&self.host).chain(&self.names)
    }

    /// Returns every domain that image references may use for it: the canonical one first, `localhost` last if kindreg
    /// runs it.
    #[must_use]
    pub fn domains(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .hosts()
            .map(|name| domain(name.as_str(), self.port))
            .collect();
        all.extend(self.local_domain());
        all
    }
}

impl Mirrored<'_> {
    /// Returns the name of the folder in containerd's certs.d that makes nodes ask the mirror first. `_default` applies
    /// to registries without a folder: <https://github.com/containerd/containerd/blob/main/docs/hosts.md>.
    #[must_use]
    pub fn folder(self) -> String {
        match self {
            Self::Everything => "_default".to_owned(),
            Self::Upstream(cache) => cache.upstream.to_string(),
        }
    }
}

/// Returns the host of a registry's API. For Docker Hub it differs from the host in image references:
/// <https://github.com/containerd/containerd/blob/main/docs/hosts.md>.
fn api_host(host: &Host) -> &str {
    match host.as_str() {
        "docker.io" => "registry-1.docker.io",
        host => host,
    }
}

/// Returns `host:port`, without `:443`: an image reference without a port means 443, and clients look up folders of
/// certs.d by the text of the reference: <https://docs.docker.com/engine/security/certificates/>.
fn domain(host: &str, port: Port) -> String {
    if port.number() == 443 {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    }
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
                 or fail; use a name in .test or .internal"
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
    use super::*;

    fn registry(host: &str, port: u16) -> Registry {
        Registry {
            name: "registry".parse().unwrap(),
            host: host.parse().unwrap(),
            port: Port::new(port).unwrap(),
            names: Vec::new(),
            backend: Backend::Distribution(Distribution {
                image: "registry:3".parse().unwrap(),
                data: Data::Discard,
                certificate: CertificateSource::Generated,
                serves: Serves::Pushed {
                    auth: Auth::Password,
                },
            }),
        }
    }

    #[test]
    fn a_domain_has_its_port_unless_it_is_443() {
        assert_eq!(
            registry("registry.test", 5001).domain(),
            "registry.test:5001"
        );
        assert_eq!(registry("registry.test", 443).domain(), "registry.test");
        assert_eq!(
            registry("registry.test", 443).url(),
            "https://registry.test:443"
        );
        assert_eq!(
            registry("registry.test", 5001).local_domain().as_deref(),
            Some("localhost:5001")
        );
    }

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
