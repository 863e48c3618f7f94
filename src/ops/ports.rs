//! Finds a free port for a registry whose port is `auto`, and another one if that turns out to be in use.
//!
//! Ports of other programs on the engine's host can't be seen from here, nor those that another `up` is about to use;
//! the engine reports them when the registry is started.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;

use super::Client;
use super::new_cluster::prepared;
use super::settings::over;
use crate::docker::{Docker, Label};
use crate::layout::{LABEL_MODE, LABEL_RECORD};
use crate::observe::{RecordedSpec, clusters, recorded};
use crate::problem::{self, Problem};
use crate::spec::request::{BackendRequest, PortRequest, Request};
use crate::spec::{Port, RegistryName, Spec};
use crate::step::Ctx;
use crate::steps::registry::PortTaken;

/// Which ports are free, and which the cluster has.
#[derive(Debug, Default)]
pub struct Ports {
    /// The ports of the cluster's own record.
    ours: BTreeMap<RegistryName, Port>,
    /// Ports that somebody uses or has asked for.
    taken: BTreeSet<u16>,
}

impl Ports {
    /// Returns what is known without an engine.
    #[must_use]
    pub fn offline(request: &Request) -> Self {
        let fixed = request.registries.iter();
        let fixed = fixed.filter_map(|registry| match (&registry.backend, registry.port.value) {
            (BackendRequest::Distribution(_), PortRequest::Fixed(port)) => Some(port.number()),
            // An external registry's port is not one of this machine.
            (BackendRequest::Distribution(_), PortRequest::Auto)
            | (BackendRequest::External(_), _) => None,
        });
        let config = request.kind_config.iter();
        let published = config.flat_map(|config| config.value.host_ports());
        Self {
            ours: BTreeMap::new(),
            taken: fixed.chain(published).collect(),
        }
    }

    /// Returns what the record of the cluster knows; `current` is its Spec.
    #[must_use]
    pub fn recorded(request: &Request, current: Option<&Spec>) -> Self {
        let mut ports = Self::offline(request);
        for registry in current.iter().flat_map(|spec| spec.managed()) {
            if !ports.taken.contains(&registry.port.number()) {
                ports.ours.insert(registry.name.clone(), registry.port);
            }
        }
        ports
    }

    /// Returns what the engine knows too.
    pub async fn look(
        docker: &dyn Docker,
        request: &Request,
        current: Option<&Spec>,
    ) -> Result<Self> {
        let mut ports = Self::recorded(request, current);
        ports.taken.extend(docker.published_ports().await?);
        // A stopped registry publishes no port, and needs it again when it starts.
        for record in docker.containers(Label::Pair(LABEL_MODE, "owned")).await? {
            let first = record.labels.get(LABEL_RECORD);
            ports
                .taken
                .extend(first.iter().flat_map(|asked| numbers(asked)));
        }
        for cluster in clusters(docker).await? {
            // A record that this version can't read must not stop other clusters.
            if let Ok(Some(recorded)) = recorded(docker, &cluster).await {
                let registries = recorded.current.managed();
                let taken = registries.map(|registry| registry.port.number());
                ports.taken.extend(taken);
            }
        }
        Ok(ports)
    }

    /// Marks ports as in use, whatever the engine knows.
    #[must_use]
    pub fn without(mut self, lost: &BTreeSet<Port>) -> Self {
        self.ours.retain(|_, port| !lost.contains(port));
        self.taken.extend(lost.iter().map(|port| port.number()));
        self
    }

    /// Returns the port of a registry: the one that it has already, or the first free one from 5001.
    pub fn free(&mut self, name: &RegistryName) -> Result<Port> {
        if let Some(port) = self.ours.get(name) {
            return Ok(*port);
        }
        let first = Port::default().number();
        let number = (first..=u16::MAX)
            .find(|number| !self.taken.contains(number))
            .ok_or_else(|| {
                Problem::new("no free port from 5001 to 65535", "choose one: --port N")
            })?;
        self.taken.insert(number);
        Ok(Port::new(number)?)
    }
}

/// How many other ports are tried. Each try starts a registry and nodes that are removed again.
const TRIES: usize = 10;

/// What `up` works towards.
#[derive(Debug)]
pub struct Wanted {
    /// The request, over the record.
    pub request: Request,
    /// The Spec of the request.
    pub spec: Spec,
    /// The record of the cluster; `None` for a new one.
    pub recorded: Option<RecordedSpec>,
    /// The engine for the first look, in which the record has been read already.
    pub reads: Arc<dyn Docker>,
}

/// Puts a request over the record, resolves it, and runs `attempt` with the result. The default node image of a new
/// cluster is that of the installed kind. Tries again with another port if the one that was chosen here for
/// a new registry is in use on the host. An attempt that fails must leave nothing of the registry.
pub async fn with_free_ports<T>(
    client: &Client,
    ctx: &Ctx,
    request: &Request,
    mut attempt: impl AsyncFnMut(Ctx, Wanted) -> Result<T>,
) -> Result<T> {
    let mut lost = BTreeSet::new();
    loop {
        let reads = ctx.reads();
        let recorded = recorded(&*reads, &request.cluster.value).await?;
        let current = recorded.as_ref().map(|recorded| &recorded.current);
        let request = match current {
            None => prepared(client, ctx, request).await?,
            Some(current) => over(request, current)?,
        };
        let mut ports = if request.has_auto() {
            let known = Ports::look(&*reads, &request, current).await?;
            known.without(&lost)
        } else {
            Ports::default()
        };
        let mut chosen = BTreeSet::new();
        let spec = request.resolve(&mut |name| {
            let port = ports.free(name)?;
            if !ports.ours.contains_key(name) {
                chosen.insert(port);
            }
            Ok(port)
        })?;
        let wanted = Wanted {
            request,
            spec,
            recorded,
            reads,
        };
        let error = match attempt(ctx.anew(), wanted).await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let taken = problem::find::<PortTaken>(&error).map(|taken| taken.port);
        match taken.filter(|port| chosen.contains(port) && lost.len() < TRIES) {
            Some(port) => {
                ctx.note(format!(
                    "port {port} of the engine's host is in use; trying another"
                ));
                lost.insert(port);
            }
            None => return Err(error),
        }
    }
}

/// Returns the ports that a record asks for, whatever version of kindreg wrote it.
fn numbers(asked: &str) -> Vec<u16> {
    fn ports(value: &serde_json::Value, found: &mut Vec<u16>) {
        match value {
            serde_json::Value::Object(fields) => {
                let port = fields.get("port").and_then(serde_json::Value::as_u64);
                found.extend(port.and_then(|port| u16::try_from(port).ok()));
                fields.values().for_each(|value| ports(value, found));
            }
            serde_json::Value::Array(values) => values.iter().for_each(|value| ports(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_str(asked) {
        ports(&value, &mut found);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::docker::fake::FakeDocker;
    use crate::docker::{ContainerSpec, PublishedPort};
    use crate::registry::managed;
    use crate::spec::mistake::Given;

    fn request(ports: &[PortRequest]) -> Request {
        let mut request = Request::default();
        let first = request.registries.remove(0);
        for (number, port) in ports.iter().enumerate() {
            let mut registry = first.clone();
            registry.name.value = format!("r{number}").parse().unwrap();
            registry.host.value = format!("r{number}.test").parse().unwrap();
            registry.port = Given::new(*port, registry.port.from.clone());
            request.registries.push(registry);
        }
        request
    }

    fn fixed(number: u16) -> PortRequest {
        PortRequest::Fixed(Port::new(number).unwrap())
    }

    async fn found(docker: &FakeDocker, request: &Request, current: Option<&Spec>) -> Vec<u16> {
        let mut ports = Ports::look(docker, request, current).await.unwrap();
        let spec = request.resolve(&mut |name| ports.free(name)).unwrap();
        spec.registries.iter().map(|it| it.port.number()).collect()
    }

    fn container(spec: &Spec) -> ContainerSpec {
        let registry = managed(spec).next().unwrap();
        registry.containers().unwrap().remove(0)
    }

    #[tokio::test]
    async fn the_first_port_that_nobody_has_is_found() {
        let docker = Arc::new(FakeDocker::new());
        let auto = PortRequest::Auto;
        assert_eq!(
            found(&docker, &request(&[auto, auto]), None).await,
            [5001, 5002]
        );
        let beside = request(&[auto, fixed(5001), auto, fixed(5003)]);
        assert_eq!(
            found(&docker, &beside, None).await,
            [5002, 5001, 5004, 5003]
        );

        // Somebody else's container publishes one, and another cluster's registry, which is stopped, asks for another.
        docker.add_image("registry:3");
        let theirs = request(&[fixed(5002)])
            .resolve(&mut |_| unreachable!())
            .unwrap();
        let mut foreign = container(&theirs);
        foreign.ports = vec![PublishedPort {
            container: 80,
            address: "0.0.0.0".to_owned(),
            host: 5001,
        }];
        foreign.network = crate::docker::NetworkMode::None;
        foreign.labels.clear();
        docker.create(&foreign).await.unwrap();
        docker.start(&foreign.name).await.unwrap();
        let mut record = foreign.clone();
        record.name = "kindreg-other".to_owned();
        record.labels = BTreeMap::from([
            (LABEL_MODE.to_owned(), "owned".to_owned()),
            (
                LABEL_RECORD.to_owned(),
                serde_json::to_string(&theirs).unwrap(),
            ),
        ]);
        docker.create(&record).await.unwrap();
        assert_eq!(found(&docker, &request(&[auto]), None).await, [5003]);
    }

    #[tokio::test]
    async fn a_registry_keeps_the_port_that_it_has() {
        let docker = FakeDocker::new();
        let current = request(&[fixed(6000)])
            .resolve(&mut |_| unreachable!())
            .unwrap();
        let auto = PortRequest::Auto;
        assert_eq!(
            found(&docker, &request(&[auto, auto]), Some(&current)).await,
            [6000, 5001]
        );
        // Unless it is now asked for by name for another.
        assert_eq!(
            found(&docker, &request(&[auto, fixed(6000)]), Some(&current)).await,
            [5001, 6000]
        );
    }
}
