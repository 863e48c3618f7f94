//! A request: the settings before they are a [`Spec`]. Each value has its source, and ports may still be `auto`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

pub use super::certificate::CertificateRequest;
pub use super::number::PortRequest;

use super::mistake::{Given, Mistake, Source};
use super::{
    Auth, Authorities, Backend, Cache, ClusterName, ControlPlanes, Data, Distribution, External,
    Host, HostTrust, ImageRef, KindConfig, MirrorOf, OwnedCluster, Port, Registry, RegistryName,
    Serves, Spec, Target, Variables, Workers,
};
use crate::pki;

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
    fn shares_hosts_with(&self, other: &Self) -> bool {
        let (BackendRequest::External(one), BackendRequest::External(two)) =
            (&self.backend, &other.backend)
        else {
            return false;
        };
        self.port.value != other.port.value && one.address == two.address
    }

    /// Returns all its host names, the canonical one first.
    fn hosts(&self) -> impl Iterator<Item = &Given<Host>> {
        std::iter::once(&self.host).chain(&self.names)
    }
}

impl Request {
    /// Returns every conflict between the values. Each value alone is valid by its type.
    #[must_use]
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut all = self.conflicts();
        self.certificates_lack_names(&mut all);
        all
    }

    /// Returns the conflicts that no flag can solve: a flag may set the host name for which a certificate is made.
    pub(super) fn conflicts(&self) -> Vec<Mistake> {
        let mut all = Vec::new();
        self.hosts_clash(&mut all);
        self.ports_clash(&mut all);
        self.mirrors_clash(&mut all);
        self.kind_config_clashes(&mut all);
        all
    }

    fn hosts_clash(&self, all: &mut Vec<Mistake>) {
        let mut seen: BTreeMap<&Host, Vec<&RegistryRequest>> = BTreeMap::new();
        for registry in &self.registries {
            for host in registry.hosts() {
                let others = seen.entry(&host.value).or_default();
                let other = others
                    .iter()
                    .find(|other| !registry.shares_hosts_with(other));
                let other = other.map(|other| &other.name.value);
                others.push(registry);
                let Some(other) = other else {
                    continue;
                };
                let at = source_or(&host.from, &registry.name.from);
                // Nodes find a registry by its name on the cluster's network: two of one name would answer in turn.
                all.push(if *other == registry.name.value {
                    Mistake::new(at, format!("duplicate host name {}", host.value))
                } else {
                    let what = format!("registry {other} already has host name {}", host.value);
                    let advice = match registry.backend {
                        BackendRequest::Distribution(_) => {
                            "give each registry its own host names"
                        }
                        BackendRequest::External(_) => {
                            "external registries may share one only at the same address and on different ports"
                        }
                    };
                    Mistake::new(at, what).advise(advice)
                });
            }
        }
    }

    fn ports_clash(&self, all: &mut Vec<Mistake>) {
        let mut seen: BTreeMap<Port, &RegistryName> = BTreeMap::new();
        for registry in &self.registries {
            // External registries do not use ports of this machine.
            let (BackendRequest::Distribution(_), PortRequest::Fixed(port)) =
                (&registry.backend, registry.port.value)
            else {
                continue;
            };
            if let Some(other) = seen.insert(port, &registry.name.value) {
                let at = source_or(&registry.port.from, &registry.name.from);
                let what = format!("registry {other} already has port {port}");
                all.push(Mistake::new(at, what).advise("use another port, or port = \"auto\""));
            }
        }
        let Some(config) = &self.kind_config else {
            return;
        };
        for taken in config.value.host_ports() {
            if let Some((port, registry)) = seen.iter().find(|(port, _)| port.number() == taken) {
                let what =
                    format!("registry {registry} and extraPortMappings both use port {port}");
                all.push(Mistake::new(&config.from, what).advise("change one of them"));
            }
        }
    }

    fn mirrors_clash(&self, all: &mut Vec<Mistake>) {
        let mut seen: BTreeMap<&MirrorOf, &RegistryName> = BTreeMap::new();
        for registry in &self.registries {
            let Some(of) = registry
                .distribution()
                .and_then(|asked| Some(&asked.mirror.as_ref()?.of))
            else {
                continue;
            };
            let upstream = match &of.value {
                MirrorOf::Registry(upstream) => Some(upstream),
                MirrorOf::Every => None,
            };
            if let Some(other) = seen.insert(&of.value, &registry.name.value) {
                let what = format!("registry {other} already mirrors {}", of.value);
                all.push(Mistake::new(&of.from, what).advise("remove one of them"));
            }
            let itself = upstream.and_then(|of| {
                let mut registries = self.registries.iter();
                registries.find(|registry| registry.hosts().any(|host| host.value == of.host))
            });
            if let Some(itself) = itself {
                let what = format!(
                    "can't mirror {}: it is the host name of registry {}",
                    of.value, itself.name.value
                );
                all.push(Mistake::new(&of.from, what));
            }
        }
    }

    fn certificates_lack_names(&self, all: &mut Vec<Mistake>) {
        for registry in &self.registries {
            let Some(asked) = registry.distribution() else {
                continue;
            };
            let CertificateRequest::Files(certificate) = &asked.certificate.value else {
                continue;
            };
            let names = pki::Names::new([registry.host.value.as_str()], []);
            let Err(flaw) = pki::covers(certificate.identity(), &names) else {
                continue;
            };
            let what = format!("registry {}: {flaw}", registry.name.value);
            let advice = "nodes connect to this name; set `host` to a name that it covers, or use another certificate";
            all.push(Mistake::new(&asked.certificate.from, what).advise(advice));
        }
    }

    fn kind_config_clashes(&self, all: &mut Vec<Mistake>) {
        let Some(config) = &self.kind_config else {
            return;
        };
        let named = config.value.name();
        // A flag overrides every file, this one included.
        let by_flag = matches!(self.cluster.from, Source::Flag(_));
        if let Some(name) = named.filter(|name| !by_flag && *name != self.cluster.value.as_str()) {
            let what = format!(
                "the kind configuration names the cluster {name:?}, not {}",
                self.cluster.value
            );
            let advice = "remove the name there, or set `name` in [cluster] to the same";
            all.push(Mistake::new(&config.from, what).advise(advice));
        }
        let Some((control_planes, workers)) = config.value.nodes() else {
            return;
        };
        let advice = "set it in one place only";
        if self.workers.is_given() && self.workers.value != workers {
            let what = format!(
                "{} worker(s) requested, but the kind configuration lists {}",
                self.workers.value.number(),
                workers.number()
            );
            all.push(Mistake::new(&self.workers.from, what).advise(advice));
        }
        if self.control_planes.is_given() && self.control_planes.value != control_planes {
            let what = format!(
                "{} control plane(s) requested, but the kind configuration lists {}",
                self.control_planes.value.number(),
                control_planes.number()
            );
            all.push(Mistake::new(&self.control_planes.from, what).advise(advice));
        }
    }

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

/// Returns the source of a value, or that of its owner if nobody sets the value now.
fn source_or<'a>(from: &'a Source, owner: &'a Source) -> &'a Source {
    match from {
        Source::Default | Source::Record => owner,
        Source::File(_) | Source::Flag(_) => from,
    }
}
