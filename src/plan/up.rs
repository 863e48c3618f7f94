//! The plan of `up`, as one literal list.

use super::lanes::{
    addresses, announcement, cluster, copies_and_host_trust, credentials, images,
    loopback_and_proof_images, proofs, ready, registry,
};
use super::retire::retirement;
use super::{Verify, stage, step};
use crate::registry::managed;
use crate::spec::{Spec, Target};
use crate::step::Plan;
use crate::steps::cluster::{Network, OriginalKubeconfig, Record};
use crate::steps::nodes::{ConfigPath, NodeTrust, Nodes, RegistryNames};
use crate::steps::proof::Proving;

/// Returns the plan that brings a machine to `spec` and removes what `earlier` Specs left. The lanes of a stage run at
/// the same time.
#[must_use]
#[rustfmt::skip]
pub fn up(spec: &Spec, earlier: &[Spec], verify: Verify) -> Plan {
    let (name, whole) = (|| spec.cluster.clone(), || spec.clone());
    let Target::Owned(owned) = &spec.target;
    Plan {
        images: stage(images(spec)),
        stages: vec![
            stage([vec![
                step(Record { spec: whole() }),
                step(OriginalKubeconfig { cluster: name() }),
                step(Network { cluster: name(), ip_family: owned.ip_family() }),
            ]]),
            // `Nodes` starts kind, which runs until `cluster`.
            stage([vec![step(Nodes { spec: whole(), owned: owned.clone() })]]
                .into_iter()
                .chain(managed(spec).map(|it| registry(spec, earlier, it)))),
            stage([
                vec![step(ConfigPath { spec: whole() }), step(NodeTrust { spec: whole() })],
                vec![step(RegistryNames { spec: whole() })],
                addresses(spec),
                credentials(spec),
                copies_and_host_trust(spec),
            ]),
            // Pushes by the engine need its trust. kind is still at work.
            stage([loopback_and_proof_images(spec, earlier, verify, Proving::IfStale)]),
            // A node runs its proof as soon as it has joined, while kind is still at work.
            stage([cluster(spec)].into_iter().chain(proofs(spec, verify, Proving::IfStale))),
            stage([ready(spec), announcement(spec)]),
            // Last, so that nothing is removed before its successor is proven.
            stage([retirement(spec, earlier)]),
        ],
    }
}
