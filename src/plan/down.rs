//! The plan of `down`, which the engine undoes in reverse order.

use super::lanes::{copies_and_host_trust, loopback_and_proof_images, registry};
use super::{Verify, retire, stage, step, up};
use crate::registry::managed;
use crate::spec::{Spec, Target};
use crate::step::{Lane, Plan};
use crate::steps::cluster::{Leftovers, Network, Record};
use crate::steps::host::HostLeftovers;
use crate::steps::proof::Proving;

/// The source of the Spec for `down`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// The record.
    Recorded,
    /// The containers of the cluster. They do not say which domains the host trusts.
    Recovered,
    /// Volumes and networks only. There is no image to run something on the host with.
    Fragments,
}

/// Returns the plan to undo: what `up` makes for `spec`, what `earlier` Specs may have left, and all other objects with
/// the cluster's label.
#[must_use]
pub fn down(spec: &Spec, earlier: &[Spec], known: Known) -> Plan {
    let mut plan = up(spec, &[], Verify::EveryNode);
    plan.stages.push(stage([left(spec, earlier, known)]));
    if let Some(lane) = plan
        .stages
        .first_mut()
        .and_then(|first| first.lanes.first_mut())
    {
        lane.insert(0, step(Leftovers { spec: spec.clone() }));
    }
    plan
}

/// Returns the plan to undo everything outside the kind cluster, because somebody else has created one of that name. It
/// reads and writes nothing in nodes, in the Kubernetes API and in the kubeconfig.
#[must_use]
pub fn down_beside_foreign(spec: &Spec, earlier: &[Spec], known: Known) -> Plan {
    let cluster = spec.cluster.clone();
    let Target::Owned(owned) = &spec.target;
    let ip_family = owned.ip_family();
    Plan::of(vec![
        stage([vec![
            step(Leftovers { spec: spec.clone() }),
            step(Record { spec: spec.clone() }),
            step(Network { cluster, ip_family }),
        ]]),
        stage(managed(spec).map(|it| registry(spec, earlier, it))),
        stage([copies_and_host_trust(spec)]),
        stage([loopback_and_proof_images(
            spec,
            &[],
            Verify::Nothing,
            Proving::Always,
        )]),
        stage([left(spec, earlier, known)]),
    ])
}

/// Returns the steps for what the Spec does not name.
fn left(spec: &Spec, earlier: &[Spec], known: Known) -> Lane {
    match known {
        Known::Recorded => {
            let left = retire::host_trust(spec, earlier).into_iter();
            left.map(step).collect()
        }
        Known::Recovered => vec![step(HostLeftovers { spec: spec.clone() })],
        Known::Fragments => Vec::new(),
    }
}
