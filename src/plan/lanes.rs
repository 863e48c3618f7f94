//! The lanes of `up` that depend on the Spec. Some may be empty.

use super::{Verify, step};
use crate::registry::{Delivery, Managed, driver, managed};
use crate::render;
use crate::spec::{Authentication, Registry, Spec};
use crate::step::Lane;
use crate::steps::Retired;
use crate::steps::cluster::{Cluster, Hosting, NodesReady, RecordCopies};
use crate::steps::host::{HostName, HostTrust, Image};
use crate::steps::nodes::{NodeCredentials, NodeHosts};
use crate::steps::proof::{ExternalProof, HostProof, Proof, ProofImage, Proving};
use crate::steps::registry::{Certificate, Credentials, RegistryContainers, Service, Volumes};

/// Returns one lane for each image that the plan needs.
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

/// Returns the lane that creates one registry and waits until it serves.
pub(super) fn registry(spec: &Spec, earlier: &[Spec], registry: Managed) -> Lane {
    let this = || registry.clone();
    let mut lane: Lane = vec![
        step(Volumes { registry: this() }),
        step(RegistryContainers { registry: this() }),
        step(Certificate { registry: this() }),
    ];
    // Before it starts: a registry of other settings must not find secrets of earlier ones.
    lane.extend(retired_setup(earlier, &registry));
    lane.extend(registry.setup());
    match registry.registry().authentication() {
        Authentication::Anonymous => {}
        // Before it starts: distribution generates a user of its own if it finds none.
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

/// Returns the removal of set-up steps that earlier settings of a registry needed and today's do not: each once, the
/// newest settings first.
fn retired_setup(earlier: &[Spec], registry: &Managed) -> Lane {
    let mut seen: Vec<_> = registry.setup().iter().map(|step| step.id()).collect();
    let mut lane: Lane = Vec::new();
    for old in earlier.iter().rev() {
        let name = &registry.registry().name;
        let same = managed(old).find(|old| old.registry().name == *name);
        for old in same.iter().flat_map(|old| old.setup()) {
            if !seen.contains(&old.id()) {
                seen.push(old.id());
                lane.push(step(Retired(old)));
            }
        }
    }
    lane
}

/// Returns the lane that writes addresses of external registries into `/etc/hosts` of nodes.
pub(super) fn addresses(spec: &Spec) -> Lane {
    if render::node_hosts(spec).is_empty() {
        return Vec::new();
    }
    vec![step(NodeHosts { spec: spec.clone() })]
}

/// Returns the lane that gives nodes their credentials.
pub(super) fn credentials(spec: &Spec) -> Lane {
    let mut asking = spec.authenticated();
    let lane = asking
        .next()
        .map(|_| step(NodeCredentials { spec: spec.clone() }));
    lane.into_iter().collect()
}

/// Returns the lane that copies the record, once there is something to copy it to, and then sets up host trust in the
/// registries' own domains: one after the other, because they share folders and the record.
pub(super) fn copies_and_host_trust(spec: &Spec) -> Lane {
    let cluster = spec.cluster.clone();
    let mut lane: Lane = vec![step(RecordCopies { cluster })];
    let trusts = host_trusts(spec).filter(|trust| trust.name == HostName::Domain);
    lane.extend(trusts.map(step));
    lane
}

/// Returns the steps for all names that the engine's host trusts registries under.
pub(super) fn host_trusts(spec: &Spec) -> impl Iterator<Item = HostTrust> {
    spec.host_trusted()
        .flat_map(|registry| HostTrust::all(spec, registry))
}

/// Returns the host trust in `localhost:port` of earlier Specs for registries whose certificate no longer covers
/// `localhost`. docker would refuse pushes with it.
pub(super) fn lost_loopback(spec: &Spec, earlier: &[Spec]) -> Vec<HostTrust> {
    let unverified = spec
        .managed()
        .filter(|it| it.verified_local_domain().is_none());
    let unverified: Vec<String> = unverified.filter_map(Registry::local_domain).collect();
    let mut all: Vec<HostTrust> = Vec::new();
    for old in earlier.iter().rev().flat_map(host_trusts) {
        let domain = old.domain();
        if unverified.contains(&domain) && all.iter().all(|one| one.domain() != domain) {
            all.push(old);
        }
    }
    all
}

/// Returns the lane that sets up host trust in `localhost:port`, which pushes need, and then makes the proof images.
/// Where registries are proven, this is proven too, if the registry takes pushes.
pub(super) fn loopback_and_proof_images(
    spec: &Spec,
    earlier: &[Spec],
    verify: Verify,
    when: Proving,
) -> Lane {
    let trusts = host_trusts(spec).filter(|trust| trust.name == HostName::Loopback);
    let loopback = |trust: HostTrust| match (verify, driver(spec, &trust.registry)) {
        (Verify::EveryNode, Some(registry)) => match registry.delivery() {
            Delivery::Push => step(HostProof {
                trust,
                registry: registry.clone(),
            }),
            Delivery::Store(_) => step(trust),
        },
        _ => step(trust),
    };
    let mut lane: Lane = lost_loopback(spec, earlier)
        .into_iter()
        .map(|lost| step(Retired(step(lost))))
        .collect();
    lane.extend(trusts.map(loopback));
    lane.extend(proof_images(spec, verify, when).into_iter().flatten());
    lane
}

/// Returns the lane that waits until kind has finished.
pub(super) fn cluster(spec: &Spec) -> Lane {
    vec![step(Cluster { spec: spec.clone() })]
}

/// Returns the lane that waits until all nodes are Ready.
pub(super) fn ready(spec: &Spec) -> Lane {
    vec![step(NodesReady { spec: spec.clone() })]
}

/// Returns the registry that the cluster announces, the first one that takes pushes: the `ConfigMap` has room for one.
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

/// Returns the lanes that make the proof images, one for each registry that kindreg runs.
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

/// Returns the lanes that prove each registry with a pod on every node.
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
