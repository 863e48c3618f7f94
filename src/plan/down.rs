//! The plan of `down`, which the engine undoes in reverse order.

use super::{Verify, retire, stage, step, up};
use crate::spec::Spec;
use crate::step::Plan;
use crate::steps::cluster::Leftovers;
use crate::steps::host::HostLeftovers;

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
    let left = match known {
        Known::Recorded => {
            let left = retire::host_trust(spec, earlier).into_iter();
            left.map(step).collect()
        }
        Known::Recovered => vec![step(HostLeftovers { spec: spec.clone() })],
        Known::Fragments => Vec::new(),
    };
    plan.stages.push(stage([left]));
    if let Some(lane) = plan
        .stages
        .first_mut()
        .and_then(|first| first.lanes.first_mut())
    {
        lane.insert(0, step(Leftovers { spec: spec.clone() }));
    }
    plan
}
