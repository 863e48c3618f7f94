//! The plan of `down`, which the engine undoes in reverse order.

use super::{retire, stage, step, up};
use crate::spec::Spec;
use crate::step::Plan;
use crate::steps::cluster::Leftovers;

/// Returns the plan to undo: what `up` makes for `spec`, what `earlier` Specs may have left, and all other objects with
/// the cluster's label.
#[must_use]
pub fn down(spec: &Spec, earlier: &[Spec]) -> Plan {
    let mut plan = up(spec, &[], up::Verify::EveryNode);
    let left = retire::host_trust(spec, earlier).into_iter().map(step);
    plan.stages.push(stage([left.collect()]));
    if let Some(lane) = plan
        .stages
        .first_mut()
        .and_then(|first| first.lanes.first_mut())
    {
        lane.insert(0, step(Leftovers { spec: spec.clone() }));
    }
    plan
}
