//! What is asked, before it is a [`Spec`]: each value with where it came from, and ports that may still be `auto`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};

use super::mistake::{Given, Mistake, Source};
use super::{
    Auth, Authorities, Backend, Cache, CertificateSource, ClusterName, ControlPlanes, Data,
    Distribution, External, Host, HostTrust, ImageRef, Invalid, KindConfig, MirrorOf, OwnedCluster,
    Port, Registry, RegistryName, Serves, Spec, Target, Variables, Workers,
};

/// What is asked of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Name of the kind cluster.
    pub cluster: Given<ClusterName>,
    /// Nodes besides the control planes.
    pub workers: Given<Workers>,
    /// Nodes that run the control plane.
    pub control_planes: Given<ControlPlanes>,
    /// Image of the nodes.
    pub node_image: Given<ImageRef>,
    /// A kind configuration of the user's own.
    pub kind_config: Option<Given<KindConfig>>,
    /// Whether the engine's host is to trust the registries.
    pub host_trust: Given<HostTrust>,
    /// The registries, in the order of the file; never none.
    pub registries: Vec<RegistryRequest>,
}

/// What is asked of one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryRequest {
    /// Its name.
    pub name: Given<RegistryName>,
    /// Canonical host name.
    pub host: Given<Host>,
    /// Port, or that one is to be found.
    pub port: Given<PortRequest>,
    /// Further host names.
    pub names: Vec<Given<Host>>,
    /// Who runs it.
    pub backend: BackendRequest,
}

/// Who is to run a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendRequest {
    /// kindreg.
    Distribution(DistributionRequest),
    /// Somebody else.
    External(External),
}

/// What is asked of a registry that kindreg runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionRequest {
    /// Image of the registry itself.
    pub image: Given<ImageRef>,
    /// What happens to its images on `down`.
    pub data: Data,
    /// Who may use it; everybody may use a mirror.
    pub auth: Auth,
    /// Whose images it answers for besides its own.
    pub mirror: Option<MirrorRequest>,
}

/// What is asked of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorRequest {
    /// Whose images it answers for.
    pub of: Given<MirrorOf>,
    /// CA of the registry that it is a cache of.
    pub ca: Option<Given<Authorities>>,
    /// Variables that hold user and password for that registry.
    pub login: Option<Variables>,
}

impl Default for DistributionRequest {
    fn default() -> Self {
        Self {
            image: Given::new(ImageRef::registry(), Source::Default),
            data: Data::default(),
            auth: Auth::default(),
            mirror: None,
        }
    }
}

impl DistributionRequest {
    fn resolve(&self) -> Distribution {
        Distribution {
            image: self.image.value.clone(),
            data: self.data,
            certificate: CertificateSource::Generated,
            serves: match &self.mirror {
                None => Serves::Pushed { auth: self.auth },
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

/// A port, or that one is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortRequest {
    /// This one.
    Fixed(Port),
    /// The one that the cluster already has, or the first that is free.
    Auto,
}

impl FromStr for PortRequest {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        if value == "auto" {
            return Ok(Self::Auto);
        }
        value.parse().map(Self::Fixed).map_err(|_| Invalid {
            what: "port",
            value: value.to_owned(),
            why: "ports go from 1 to 65535, or \"auto\" finds one".to_owned(),
        })
    }
}

impl Default for PortRequest {
    fn default() -> Self {
        Self::Fixed(Port::default())
    }
}

impl fmt::Display for PortRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(port) => port.fmt(f),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl Default for Request {
    fn default() -> Self {
        Self {
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
    /// A registry of which nothing but the name is known: `<name>.test:5001`.
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

    /// Returns what is asked of it where kindreg is to run it.
    #[must_use]
    pub const fn distribution(&self) -> Option<&DistributionRequest> {
        match &self.backend {
            BackendRequest::Distribution(asked) => Some(asked),
            BackendRequest::External(_) => None,
        }
    }

    /// Whether one host name can be both this one's and another's: a machine of somebody else's may run several on
    /// ports of their own, as Nexus does.
    fn shares_hosts_with(&self, other: &Self) -> bool {
        let (BackendRequest::External(one), BackendRequest::External(two)) =
            (&self.backend, &other.backend)
        else {
            return false;
        };
        self.port.value != other.port.value && one.address == two.address
    }

    /// All its host names, the canonical one first.
    fn hosts(&self) -> impl Iterator<Item = &Given<Host>> {
        std::iter::once(&self.host).chain(&self.names)
    }
}

impl Request {
    /// Everything that is wrong with the values together; each for itself is right by its type.
    #[must_use]
    pub fn mistakes(&self) -> Vec<Mistake> {
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
                let at = or(&host.from, &registry.name.from);
                // Nodes find a registry by its name on the cluster's network, where two would answer by turns.
                all.push(if *other == registry.name.value {
                    Mistake::new(at, format!("{} is given twice", host.value))
                } else {
                    let what = format!("{} is a name of registry {other} already", host.value);
                    let advice = match registry.backend {
                        BackendRequest::Distribution(_) => {
                            "each registry needs host names of its own"
                        }
                        BackendRequest::External(_) => {
                            "external registries may share one, on different ports and at one address"
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
            // Others' are no ports of this machine.
            let (BackendRequest::Distribution(_), PortRequest::Fixed(port)) =
                (&registry.backend, registry.port.value)
            else {
                continue;
            };
            if let Some(other) = seen.insert(port, &registry.name.value) {
                let at = or(&registry.port.from, &registry.name.from);
                let what = format!("port {port} is registry {other}'s already");
                all.push(Mistake::new(at, what).advise("give it another port, or port = \"auto\""));
            }
        }
        let Some(config) = &self.kind_config else {
            return;
        };
        for taken in config.value.host_ports() {
            if let Some((port, registry)) = seen.iter().find(|(port, _)| port.number() == taken) {
                let what = format!(
                    "its extraPortMappings take port {port}, which is registry {registry}'s"
                );
                all.push(Mistake::new(&config.from, what).advise("give one of them another port"));
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
                let what = format!("registry {other} is a mirror of {} already", of.value);
                all.push(Mistake::new(&of.from, what).advise("one of them is enough"));
            }
            let ours = upstream.and_then(|of| {
                let mut registries = self.registries.iter();
                registries.find(|registry| registry.hosts().any(|host| host.value == of.host))
            });
            if let Some(ours) = ours {
                let what = format!(
                    "{} is registry {}'s own name, and no registry to be a mirror of",
                    of.value, ours.name.value
                );
                all.push(Mistake::new(&of.from, what));
            }
        }
    }

    fn kind_config_clashes(&self, all: &mut Vec<Mistake>) {
        let Some(config) = &self.kind_config else {
            return;
        };
        let named = config.value.name();
        // A flag is said at the last moment, and meant.
        let by_flag = matches!(self.cluster.from, Source::Flag(_));
        if let Some(name) = named.filter(|name| !by_flag && *name != self.cluster.value.as_str()) {
            let what = format!(
                "its name is {name:?}, and the cluster is to be {}",
                self.cluster.value
            );
            let advice = "leave the name out of it, or say the same in [cluster] name";
            all.push(Mistake::new(&config.from, what).advise(advice));
        }
        let Some((control_planes, workers)) = config.value.nodes() else {
            return;
        };
        let advice = "say it in one place only";
        if self.workers.is_given() && self.workers.value != workers {
            let what = format!(
                "{} worker(s) are asked for, and the kind configuration lists {}",
                self.workers.value.number(),
                workers.number()
            );
            all.push(Mistake::new(&self.workers.from, what).advise(advice));
        }
        if self.control_planes.is_given() && self.control_planes.value != control_planes {
            let what = format!(
                "{} control plane(s) are asked for, and the kind configuration lists {}",
                self.control_planes.value.number(),
                control_planes.number()
            );
            all.push(Mistake::new(&self.control_planes.from, what).advise(advice));
        }
    }

    /// The Spec; `auto` finds the ports that were left open.
    ///
    /// # Errors
    /// What `auto` could not find, and [`Request::mistakes`], which a caller has shown before.
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
            bail!("one port was found for two registries");
        }
        Ok(spec)
    }

    /// Whether a port is still to be found.
    #[must_use]
    pub fn has_auto(&self) -> bool {
        self.registries
            .iter()
            .any(|registry| registry.port.value == PortRequest::Auto)
    }
}

/// The place of a value, or of what it belongs to where nobody gave the value.
fn or<'a>(from: &'a Source, owner: &'a Source) -> &'a Source {
    if *from == Source::Default {
        owner
    } else {
        from
    }
}
