//! `down`: the plan that the engine undoes from its end.

use super::{retire, stage, step, up};
use crate::spec::Spec;
use crate::step::Plan;
use crate::steps::cluster::Leftovers;
use crate::steps::host::HostLeftovers;

/// Where the Spec of a `down` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// From the record.
    Recorded,
    /// From the containers that are left: which domains the host trusts is not known.
    Recovered,
    /// From volumes and networks alone, with which nothing can be run on the host.
    Fragments,
}

/// Returns everything that has to be undone: what `up` makes, what earlier Specs may have left, and at the very end what
/// no plan names.
#[must_use]
pub fn down(spec: &Spec, earlier: &[Spec], known: Known) -> Plan {
    let mut plan = up(spec, &[], up::Verify::EveryNode);
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
