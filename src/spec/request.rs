//! A request: the settings before they are a [`Spec`]. Each value has its source, and ports may still be `auto`.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

pub use super::certificate::CertificateRequest;
pub use super::number::PortRequest;

use super::mistake::{Given, Source};
use super::{
    Auth, Authorities, Backend, Cache, ClusterName, ControlPlanes, Data, Distribution, External,
    Host, HostTrust, ImageRef, KindConfig, MirrorOf, OwnedCluster, Port, Registry, RegistryName,
    Serves, Spec, Target, Variables, Workers,
};

/// How the settings file of a request was chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SettingsFile {
    /// There is none.
    #[default]
    Absent,
    /// The user named it.
    Named,
    /// It was found in the current folder or above, where a cloned repository may have put it.
    Found,
    /// It was found likewise, and names another cluster: a new cluster gets its settings, but they are not those of a
    /// cluster that is there already.
    OfAnother {
        /// The request without the file.
        without: Box<Request>,
    },
}

/// The settings of one cluster and its registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// How the settings file was chosen.
    pub file: SettingsFile,
    /// Name of the kind cluster.
    pub cluster: Given<ClusterName>,
    /// Number of worker nodes.
    pub workers: Given<Workers>,
    /// Number of control-plane nodes.
    pub control_planes: Given<ControlPlanes>,
    /// Image of the nodes.
    pub node_image: Given<ImageRef>,
    /// The user's own kind configuration.
    pub kind_config: Option<Given<KindConfig>>,
    /// Whether the engine's host trusts the registries.
    pub host_trust: Given<HostTrust>,
    /// The registries, in the order of the file; at least one.
    pub registries: Vec<RegistryRequest>,
}

/// The settings of one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryRequest {
    /// Its name.
    pub name: Given<RegistryName>,
    /// Canonical host name.
    pub host: Given<Host>,
    /// Port, or `auto`.
    pub port: Given<PortRequest>,
    /// Further host names.
    pub names: Vec<Given<Host>>,
    /// Who runs it.
    pub backend: BackendRequest,
}

/// Who runs a registry, and its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a request has a handful of them, and a box would show in every pattern"
)]
pub enum BackendRequest {
    /// kindreg.
    Distribution(DistributionRequest),
    /// Somebody else.
    External(External),
}

/// The settings of a registry that kindreg runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionRequest {
    /// Image of the registry itself.
    pub image: Given<ImageRef>,
    /// What happens to its images on `down`.
    pub data: Given<Data>,
    /// Where its certificate comes from.
    pub certificate: Given<CertificateRequest>,
    /// Who may use it. A mirror ignores this: all clients may use it.
    pub auth: Given<Auth>,
    /// The other registries whose images it serves.
    pub mirror: Option<MirrorRequest>,
}

/// The settings of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorRequest {
    /// The registries that it mirrors.
    pub of: Given<MirrorOf>,
    /// CA of the upstream registry.
    pub ca: Option<Given<Authorities>>,
    /// Variables that hold user name and password for the upstream registry.
    pub login: Option<Variables>,
}

impl Default for DistributionRequest {
    fn default() -> Self {
        Self {
            image: Given::new(ImageRef::registry(), Source::Default),
            data: Given::default(),
            certificate: Given::default(),
            auth: Given::default(),
            mirror: None,
        }
    }
}

impl DistributionRequest {
    fn resolve(&self) -> Distribution {
        Distribution {
            image: self.image.value.clone(),
            data: self.data.value,
            certificate: self.certificate.value.resolve(),
            serves: match &self.mirror {
                None => Serves::Pushed {
                    auth: self.auth.value,
                },
                Some(MirrorRequest { of, ca, login }) => match &of.value {
                    MirrorOf::Every => Serves::Everything,
                    MirrorOf::Registry(upstream) => Serves::Cache(Cache {
                        upstream: upstream.clone(),
                        ca: ca.as_ref().map(|ca| ca.value.clone()),
                        login: login.clone(),
                    }),
                },
            },
        }
    }
}

impl BackendRequest {
    fn resolve(&self) -> Backend {
        match self {
            Self::Distribution(asked) => Backend::Distribution(asked.resolve()),
            Self::External(external) => Backend::External(external.clone()),
        }
    }
}

impl Default for Request {
    fn default() -> Self {
        Self {
            file: SettingsFile::default(),
            cluster: Given::default(),
            workers: Given::default(),
            control_planes: Given::default(),
            node_image: Given::new(ImageRef::node(), Source::Default),
            kind_config: None,
            host_trust: Given::default(),
            registries: vec![RegistryRequest::named(Given::default())],
        }
    }
}

impl RegistryRequest {
    /// Returns a registry with defaults for everything but its name: `<name>.test:5001`.
    #[must_use]
    pub fn named(name: Given<RegistryName>) -> Self {
        let host = Host::of(&name.value);
        Self {
            name,
            host: Given::new(host, Source::Default),
            port: Given::default(),
            names: Vec::new(),
            backend: BackendRequest::Distribution(DistributionRequest::default()),
        }
    }

    /// Returns its settings if kindreg runs it; `None` if somebody else does.
    #[must_use]
    pub const fn distribution(&self) -> Option<&DistributionRequest> {
        match &self.backend {
            BackendRequest::Distribution(asked) => Some(asked),
            BackendRequest::External(_) => None,
        }
    }

    /// Returns whether both registries may have the same host name. One external machine may run several registries on
    /// different ports, as Nexus does.
    pub(super) fn shares_hosts_with(&self, other: &Self) -> bool {
        let (BackendRequest::External(one), BackendRequest::External(two)) =
            (&self.backend, &other.backend)
        else {
            return false;
        };
        self.port.value != other.port.value && one.address == two.address
    }

    /// Returns all its host names, the canonical one first.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Given<Host>> {
        std::iter::once(&self.host).chain(&self.names)
    }
}

impl Request {
    /// Returns the Spec of this request. `auto` returns the port of a registry that has none yet.
    ///
    /// # Errors
    /// `auto` fails or returns one port twice, or there are [`Request::mistakes`], which callers report before.
    pub fn resolve(&self, auto: &mut dyn FnMut(&RegistryName) -> Result<Port>) -> Result<Spec> {
        if let Some(mistake) = self.mistakes().first() {
            bail!("{mistake}");
        }
        let listed = self
            .kind_config
            .as_ref()
            .and_then(|config| config.value.nodes());
        let (control_planes, workers) =
            listed.unwrap_or((self.control_planes.value, self.workers.value));
        let registries: Vec<Registry> = self
            .registries
            .iter()
            .map(|asked| {
                Ok(Registry {
                    name: asked.name.value.clone(),
                    host: asked.host.value.clone(),
                    port: match asked.port.value {
                        PortRequest::Fixed(port) => port,
                        PortRequest::Auto => auto(&asked.name.value)?,
                    },
                    names: asked.names.iter().map(|name| name.value.clone()).collect(),
                    backend: asked.backend.resolve(),
                })
            })
            .collect::<Result<_>>()?;
        let spec = Spec {
            cluster: self.cluster.value.clone(),
            target: Target::Owned(OwnedCluster {
                control_planes,
                workers,
                node_image: self.node_image.value.clone(),
                kind_config: self.kind_config.as_ref().map(|config| config.value.clone()),
            }),
            registries,
            host_trust: self.host_trust.value,
        };
        let ports: BTreeSet<Port> = spec.managed().map(|registry| registry.port).collect();
        if ports.len() != spec.managed().count() {
            bail!("two registries got the same port");
        }
        Ok(spec)
    }

    /// Returns whether a port is still `auto`.
    #[must_use]
    pub fn has_auto(&self) -> bool {
        self.registries
            .iter()
            .any(|registry| registry.port.value == PortRequest::Auto)
    }
}
