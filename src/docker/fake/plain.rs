//! A container without anything special, for tests to begin with.

use std::collections::BTreeMap;

use super::super::{Afterwards, Capabilities, ContainerSpec, Input, NetworkMode, Restart};

/// Returns a container of that name and image, without labels, mounts, ports and network.
#[must_use]
pub fn plain(name: &str, image: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.to_owned(),
        image: image.to_owned(),
        entrypoint: Vec::new(),
        command: Vec::new(),
        environment: BTreeMap::new(),
        labels: BTreeMap::new(),
        mounts: Vec::new(),
        network: NetworkMode::None,
        ports: Vec::new(),
        restart: Restart::No,
        capabilities: Capabilities::Default,
        input: Input::Closed,
        afterwards: Afterwards::Keep,
    }
}
