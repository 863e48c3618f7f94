//! Finds the values of a request that are valid alone and not together. Pure.

use std::collections::BTreeMap;

use super::mistake::{Mistake, Source};
use super::request::{BackendRequest, CertificateRequest, PortRequest, RegistryRequest, Request};
use super::{Host, MirrorOf, Port, RegistryName, required_names};
use crate::pki;

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
            let names = required_names(&registry.host.value);
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
}

/// Returns the source of a value, or that of its owner if nobody sets the value now.
fn source_or<'a>(from: &'a Source, owner: &'a Source) -> &'a Source {
    match from {
        Source::Default | Source::Record => owner,
        Source::File(_) | Source::Flag(_) => from,
    }
}
