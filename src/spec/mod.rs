//! What was asked: one cluster and its registries, valid by construction.
//!
//! Newtypes are parsed at the edge, once; inside, an invalid name can't exist. Nothing here may read a file or the
//! environment: `cli` hands over what was typed.

use serde::{Deserialize, Serialize};

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
mod reader;
pub mod request;

pub use external::{
    Address, Authorities, Backend, External, ProofImageRef, VariableName, Variables,
};
pub use image::ImageRef;
pub use kind_config::KindConfig;
pub(crate) use kind_config::{PLUGINS, registry_tables};
pub use mirror::{MirrorOf, Upstream};
pub use name::{ClusterName, Host, RegistryName};
pub(crate) use name::{checked_string, invalid, label};
pub use number::{ControlPlanes, Port, Workers};

/// A value that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no {what}: {why}")]
pub struct Invalid {
    /// The field in a user's words ("cluster name").
    pub what: &'static str,
    /// What was given.
    pub value: String,
    /// The rule that it breaks.
    pub why: String,
}

/// What is wanted: a kind cluster and the registries that every node of it trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Name of the kind cluster.
    pub cluster: ClusterName,
    /// Nodes that run the control plane.
    #[serde(default)]
    pub control_planes: ControlPlanes,
    /// Nodes besides those.
    pub workers: Workers,
    /// Image of the nodes.
    pub node_image: ImageRef,
    /// A kind configuration of the user's own (YAML, v1alpha4), which ours is merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind_config: Option<KindConfig>,
    /// The registries.
    pub registries: Vec<Registry>,
    /// Whether the engine's host is to trust the registries too.
    pub host_trust: HostTrust,
}

/// One registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Name of it in our own names (`kindreg-<cluster>-<name>`).
    pub name: RegistryName,
    /// Canonical host name, as images name it.
    pub host: Host,
    /// TCP port, the same inside and outside.
    pub port: Port,
    /// Who runs it.
    #[serde(default, skip_serializing_if = "Backend::is_distribution")]
    pub backend: Backend,
    /// Image of the registry itself; means nothing where somebody else runs it, like `data` and `mirror_of`.
    pub image: ImageRef,
    /// Further host names that it answers to, on the same port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Host>,
    /// What becomes of its images on `down`.
    #[serde(default)]
    pub data: Data,
    /// Whose images it answers for besides its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror_of: Option<MirrorOf>,
    /// CA of the registry that it is a cache of, where that is not a public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_ca: Option<Authorities>,
    /// The names of the variables that hold user and password for that registry; never what they hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_variables: Option<Variables>,
    /// Who may use it.
    #[serde(default)]
    pub auth: Auth,
}

/// Who may use a registry. Records of kindregs that knew no password read as `Password`: `up` then makes one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Who has its password.
    #[default]
    Password,
    /// Everybody.
    Anonymous,
}

/// What becomes of a registry's images on `down`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Data {
    /// They go.
    #[default]
    Discard,
    /// Their volume stays, and the next `up` takes it on.
    Keep,
}

/// Whether `/etc/docker/certs.d` of the engine's host gets the registries' CAs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostTrust {
    /// It does, without sudo, through the engine.
    #[default]
    Install,
    /// It stays as it is.
    Leave,
}

impl Registry {
    /// The registry as an image reference names it: `host:port`, without the port where it is 443.
    #[must_use]
    pub fn domain(&self) -> String {
        domain(self.host.as_str(), self.port)
    }

    /// The name under which the engine's host reaches it without any resolver entry, where kindreg runs it:
    /// `localhost:port`.
    #[must_use]
    pub fn local_domain(&self) -> String {
        domain("localhost", self.port)
    }

    /// What is to be known of it where somebody else runs it; `None` where kindreg does.
    #[must_use]
    pub const fn external(&self) -> Option<&External> {
        match &self.backend {
            Backend::Distribution => None,
            Backend::External(external) => Some(external),
        }
    }

    /// Whether kindreg runs it.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        self.external().is_none()
    }

    /// Whether the engine's host can be given a CA for it: one that a public CA vouches for needs none.
    #[must_use]
    pub fn has_ca(&self) -> bool {
        self.external().is_none_or(|external| external.ca.is_some())
    }

    /// The URL that nodes ask.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}:{}", api_host(&self.host), self.port)
    }

    /// Whether it asks for a password. A mirror can't: a node asks it with the credentials of what it is a mirror of
    /// (<https://github.com/containerd/containerd/issues/10540>).
    #[must_use]
    pub const fn asks_password(&self) -> bool {
        matches!(self.auth, Auth::Password) && self.mirror_of.is_none()
    }

    /// The registry that it is a pull-through cache of.
    #[must_use]
    pub const fn upstream(&self) -> Option<&Upstream> {
        match &self.mirror_of {
            Some(MirrorOf::Registry(upstream)) => Some(upstream),
            Some(MirrorOf::Every) | None => None,
        }
    }

    /// The registry that it is a pull-through cache of, and the variables that hold its credentials there; `None` where
    /// it has none.
    #[must_use]
    pub fn upstream_login(&self) -> Option<(&Upstream, &Variables)> {
        self.upstream().zip(self.upstream_variables.as_ref())
    }

    /// Whether images can be pushed to it. distribution refuses that where it is a cache.
    #[must_use]
    pub const fn takes_pushes(&self) -> bool {
        self.upstream().is_none()
    }

    /// The folder of containerd's certs.d in which it stands before another registry. `_default` is for those that have
    /// no folder: <https://github.com/containerd/containerd/blob/main/docs/hosts.md>.
    #[must_use]
    pub fn mirror_folder(&self) -> Option<String> {
        self.mirror_of.as_ref().map(|of| match of {
            MirrorOf::Registry(upstream) => upstream.to_string(),
            MirrorOf::Every => "_default".to_owned(),
        })
    }

    /// The folders of containerd's certs.d that are about it: its names, and what it is a mirror of.
    #[must_use]
    pub fn node_folders(&self) -> Vec<String> {
        let mut all = self.domains();
        all.extend(self.mirror_folder());
        all
    }

    /// Every name by which nodes are to have pulled from it before it counts as proven: its own, and one of those that it
    /// is a mirror of. Nobody else can answer for a name in `.invalid` (RFC 6761).
    #[must_use]
    pub fn proof_domains(&self) -> Vec<String> {
        let mut all = self.domains();
        all.extend(self.mirror_of.as_ref().map(|of| match of {
            MirrorOf::Registry(upstream) => upstream.to_string(),
            MirrorOf::Every => "kindreg-proof.invalid".to_owned(),
        }));
        all
    }

    /// Every name that an image may give it, the canonical one first, `localhost` last where kindreg runs it.
    #[must_use]
    pub fn domains(&self) -> Vec<String> {
        let names = std::iter::once(&self.host).chain(&self.names);
        let mut all: Vec<String> = names.map(|name| domain(name.as_str(), self.port)).collect();
        if self.is_ours() {
            all.push(self.local_domain());
        }
        all
    }
}

/// Docker Hub's API is not at the name that images give it:
/// <https://github.com/containerd/containerd/blob/main/docs/hosts.md>.
fn api_host(host: &Host) -> &str {
    match host.as_str() {
        "docker.io" => "registry-1.docker.io",
        host => host,
    }
}

/// An image without a port means 443, and certs.d folders are looked up by the very text of the reference:
/// <https://docs.docker.com/engine/security/certificates/>.
fn domain(host: &str, port: Port) -> String {
    if port.number() == 443 {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    }
}

/// Something in a valid Spec that often goes wrong later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// `.local` belongs to multicast DNS (RFC 6762).
    MulticastName(Host),
    /// macOS answers on port 5000 itself (`AirPlay` Receiver).
    AirPlayPort,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MulticastName(host) => write!(
                f,
                "{host} ends in .local, which multicast DNS owns (RFC 6762): look-ups on the host may be slow or fail; \
                 .test or .internal do not have that problem"
            ),
            Self::AirPlayPort => f.write_str(
                "port 5000 is taken by the AirPlay Receiver on macOS; 5001 is free everywhere",
            ),
        }
    }
}

impl Spec {
    /// The registries that kindreg runs.
    pub fn ours(&self) -> impl Iterator<Item = &Registry> {
        self.registries.iter().filter(|registry| registry.is_ours())
    }

    /// The registries that somebody else runs.
    pub fn externals(&self) -> impl Iterator<Item = &Registry> {
        self.registries
            .iter()
            .filter(|registry| !registry.is_ours())
    }

    /// The same without them.
    #[must_use]
    pub fn without_externals(&self) -> Self {
        Self {
            registries: self.ours().cloned().collect(),
            ..self.clone()
        }
    }

    /// The registries for which the engine's host gets a CA.
    pub fn host_trusted(&self) -> impl Iterator<Item = &Registry> {
        let install = self.host_trust == HostTrust::Install;
        let all = self.registries.iter();
        all.filter(move |registry| install && registry.has_ca())
    }

    /// What the user should know about what was asked, though it is valid.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut all = Vec::new();
        // Other people's names are not ours to choose.
        for registry in self.ours() {
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
            backend: Backend::default(),
            image: "registry:3".parse().unwrap(),
            names: Vec::new(),
            data: Data::Discard,
            mirror_of: None,
            upstream_ca: None,
            upstream_variables: None,
            auth: Auth::default(),
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
            registry("registry.test", 5001).local_domain(),
            "localhost:5001"
        );
    }

    #[test]
    fn multicast_names_and_the_airplay_port_are_warned_of() {
        let spec = |host, port| Spec {
            cluster: "c".parse().unwrap(),
            control_planes: ControlPlanes::default(),
            workers: Workers::new(0).unwrap(),
            kind_config: None,
            node_image: "kindest/node:v1".parse().unwrap(),
            registries: vec![registry(host, port)],
            host_trust: HostTrust::Install,
        };
        assert_eq!(spec("nexus.local", 5000).warnings().len(), 2);
        assert_eq!(spec("registry.test", 5001).warnings(), []);
    }
}
