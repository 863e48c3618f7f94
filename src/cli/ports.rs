//! Finds a port for a registry whose port is `auto`.
//!
//! What another program of the engine's host listens on can't be seen from here; the engine says so at the start.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::docker::Docker;
use crate::layout::{LABEL_ASKED, LABEL_CLUSTER, LABEL_MODE};
use crate::problem::Problem;
use crate::spec::request::{PortRequest, Request};
use crate::spec::{Port, RegistryName, Spec};
use crate::steps;

/// Ports that are there to be had.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// Those that the cluster's record names.
    ours: BTreeMap<RegistryName, Port>,
    /// Those that somebody has, or has asked for.
    taken: BTreeSet<u16>,
}

impl Ports {
    /// What can be known without an engine.
    pub(super) fn offline(request: &Request) -> Self {
        let fixed = request.registries.iter();
        let fixed = fixed.filter_map(|registry| match registry.port.value {
            PortRequest::Fixed(port) => Some(port.number()),
            PortRequest::Auto => None,
        });
        Self {
            ours: BTreeMap::new(),
            taken: fixed.collect(),
        }
    }

    /// What the engine knows: `current` is what the cluster's own record asks for.
    pub(super) async fn look(
        docker: &dyn Docker,
        request: &Request,
        current: Option<&Spec>,
    ) -> Result<Self> {
        let mut ports = Self::offline(request);
        for registry in current.iter().flat_map(|spec| &spec.registries) {
            if !ports.taken.contains(&registry.port.number()) {
                ports.ours.insert(registry.name.clone(), registry.port);
            }
        }
        ports.taken.extend(docker.published_ports().await?);
        // A registry that is stopped publishes nothing, and wants its port again all the same.
        for record in docker.containers(LABEL_MODE, "owned").await? {
            let (name, first) = (
                record.labels.get(LABEL_CLUSTER),
                record.labels.get(LABEL_ASKED),
            );
            ports
                .taken
                .extend(first.iter().flat_map(|asked| numbers(asked)));
            let Some(cluster) = name.and_then(|name| name.parse().ok()) else {
                continue;
            };
            // One that this version can't read is no reason to fail for another cluster.
            if let Ok(Some(asked)) = steps::asked(docker, &cluster).await {
                let asked = asked.current.registries.into_iter();
                ports
                    .taken
                    .extend(asked.map(|registry| registry.port.number()));
            }
        }
        Ok(ports)
    }

    /// The port of a registry: the one that it has already, else the first from 5001 on that nobody has.
    pub(super) fn free(&mut self, name: &RegistryName) -> Result<Port> {
        if let Some(port) = self.ours.get(name) {
            return Ok(*port);
        }
        let first = Port::default().number();
        let number = (first..=u16::MAX)
            .find(|number| !self.taken.contains(number))
            .ok_or_else(|| Problem::new("no port is free from 5001 on", "give one: --port N"))?;
        self.taken.insert(number);
        Ok(Port::new(number)?)
    }
}

/// The ports that a record asks for. One of another version of kindreg may have another form, so only the ports are
/// looked for.
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
