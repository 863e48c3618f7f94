//! The lanes of `up` that depend on the Spec; some are empty.

use super::up::Verify;
use super::{retire, step};
use crate::registry::{Delivery, Managed, managed};
use crate::render;
use crate::spec::{Authentication, Spec};
use crate::step::Lane;
use crate::steps::cluster::{Cluster, Hosting, NodesReady};
use crate::steps::host::{HostTrust, Image};
use crate::steps::nodes::{NodeCredentials, NodeHosts};
use crate::steps::proof::{ExternalProof, Proof, ProofImage, Proving};
use crate::steps::registry::{Certificate, Credentials, RegistryContainers, Service, Volumes};

/// The images that the rest takes, each once.
pub(super) fn images(spec: &Spec) -> Vec<Lane> {
    let mut wanted = vec![spec.target.node_image().clone()];
    wanted.extend(managed(spec).flat_map(|registry| registry.images()));
    wanted.sort();
    wanted.dedup();
    let wanted = wanted.into_iter();
    wanted
        .map(|reference| vec![step(Image { reference })])
        .collect()
}

/// A registry, until it serves.
pub(super) fn registry(spec: &Spec, earlier: &[Spec], registry: Managed) -> Lane {
    let this = || registry.clone();
    let mut lane: Lane = vec![
        step(Volumes { registry: this() }),
        step(RegistryContainers { registry: this() }),
        step(Certificate { registry: this() }),
    ];
    // Before it serves: what it sends to nobody any more, another image must not find either.
    lane.extend(retire::setup(earlier, &registry));
    lane.extend(registry.setup());
    match registry.registry().authentication() {
        Authentication::Anonymous => {}
        // Before it serves: distribution makes a user of its own where it finds none.
        Authentication::Stored | Authentication::Docker | Authentication::Variables(_) => {
            lane.push(step(Credentials { registry: this() }));
        }
    }
    lane.push(step(Service {
        spec: spec.clone(),
        registry,
    }));
    lane
}

/// Where nodes find registries that no name server knows.
pub(super) fn addresses(spec: &Spec) -> Lane {
    if render::node_hosts(spec).is_empty() {
        return Vec::new();
    }
    vec![step(NodeHosts { spec: spec.clone() })]
}

/// What nodes log in with.
pub(super) fn credentials(spec: &Spec) -> Lane {
    let mut asking = spec.authenticated();
    let lane = asking
        .next()
        .map(|_| step(NodeCredentials { spec: spec.clone() }));
    lane.into_iter().collect()
}

/// The engine's host, one registry after the other: they share folders.
pub(super) fn host_trust(spec: &Spec) -> Lane {
    let lane = spec.host_trusted().map(|registry| HostTrust {
        spec: spec.clone(),
        registry: registry.clone(),
    });
    lane.map(step).collect()
}

/// The end of kind's work.
pub(super) fn cluster(spec: &Spec) -> Lane {
    vec![step(Cluster { spec: spec.clone() })]
}

/// The nodes, as Kubernetes sees them.
pub(super) fn ready(spec: &Spec) -> Lane {
    vec![step(NodesReady { spec: spec.clone() })]
}

/// Returns the registry that the cluster announces: the `ConfigMap` has room for one, and it is for pushing.
#[must_use]
pub fn announced(spec: &Spec) -> Option<Managed> {
    managed(spec).find(|registry| match registry.delivery() {
        Delivery::Push => true,
        Delivery::Store(_) => false,
    })
}

pub(super) fn announcement(spec: &Spec) -> Lane {
    let hosting = announced(spec).map(|registry| step(Hosting { registry }));
    hosting.into_iter().collect()
}

/// The images that nodes pull for the proof, one a registry.
pub(super) fn proof_images(spec: &Spec, verify: Verify, when: Proving) -> Vec<Lane> {
    let image = |registry| {
        vec![step(ProofImage {
            spec: spec.clone(),
            registry,
            when,
        })]
    };
    match verify {
        Verify::EveryNode => managed(spec).map(image).collect(),
        Verify::Nothing => Vec::new(),
    }
}

/// The pods on every node that pull them, and those that ask external registries.
pub(super) fn proofs(spec: &Spec, verify: Verify, when: Proving) -> Vec<Lane> {
    if verify == Verify::Nothing {
        return Vec::new();
    }
    let ours = managed(spec).map(|registry| {
        vec![step(Proof {
            spec: spec.clone(),
            registry,
            when,
        })]
    });
    let externals = spec.externals().map(|(registry, external)| {
        vec![step(ExternalProof {
            spec: spec.clone(),
            registry: registry.clone(),
            external: external.clone(),
            when,
        })]
    });
    ours.chain(externals).collect()
}
