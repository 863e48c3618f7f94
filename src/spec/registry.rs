//! One registry: its names, and how clients trust and authenticate to it. Pure.

use serde::{Deserialize, Serialize};

use super::domain::{api_host, domain};
use super::{
    Auth, Authorities, Backend, Cache, CertificateSource, External, ExternalLogin, Host, Loopback,
    OwnCertificate, Port, RegistryName, Serves, Variables,
};

/// The folder in containerd's certs.d for registries without a folder of their own:
/// <https://github.com/containerd/containerd/blob/main/docs/hosts.md>.
pub const DEFAULT_FOLDER: &str = "_default";

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
        self.domain_of(&self.host)
    }

    /// Returns the domain of one of its host names.
    #[must_use]
    pub fn domain_of(&self, host: &Host) -> String {
        domain(host.as_str(), self.port)
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

    /// Returns the same domain if docker on the engine's host can verify the registry's certificate there.
    #[must_use]
    pub fn verified_local_domain(&self) -> Option<String> {
        let loopback = self.own_certificate().map(|own| own.loopback);
        match loopback {
            None | Some(Loopback::Covered) => self.local_domain(),
            Some(Loopback::Lacking) => None,
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
                CertificateSource::Generated | CertificateSource::Own(_) => Trust::Stored,
            },
            Backend::External(External { ca: Some(ca), .. }) => Trust::Given(ca),
            Backend::External(External { ca: None, .. }) => Trust::Public,
        }
    }

    /// Returns the user's certificate that it presents; `None` if kindreg generates one, or if somebody else runs it.
    #[must_use]
    pub const fn own_certificate(&self) -> Option<OwnCertificate> {
        match &self.backend {
            Backend::Distribution(distribution) => match distribution.certificate {
                CertificateSource::Generated => None,
                CertificateSource::Own(own) => Some(own),
            },
            Backend::External(_) => None,
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

    /// Returns those domains, each with the folder in containerd's certs.d that must answer for it.
    pub fn answers(&self) -> impl Iterator<Item = (String, String)> {
        self.proof_domains().into_iter().zip(self.node_folders())
    }

    /// Returns its host names, the canonical one first.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        std::iter::once(&self.host).chain(&self.names)
    }

    /// Returns every domain that image references may use for it: the canonical one first, `localhost` last if kindreg
    /// runs it.
    #[must_use]
    pub fn domains(&self) -> Vec<String> {
        let mut all: Vec<String> = self.hosts().map(|name| self.domain_of(name)).collect();
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
            Self::Everything => DEFAULT_FOLDER.to_owned(),
            Self::Upstream(cache) => cache.upstream.to_string(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::spec::{Data, Distribution};

    pub(in crate::spec) fn registry(host: &str, port: u16) -> Registry {
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
}
