//! The plan of each use case, as a literal list of steps.
//!
//! Nothing here runs a step or reads anything; the [`crate::engine`] runs plans.

mod down;
mod lanes;
mod retire;
mod rotate;
mod up;
mod verify;

pub use down::{Known, down, down_beside_foreign};
pub use lanes::announced;
pub use rotate::rotate;
pub use up::up;
pub use verify::{Negative, verify};

use crate::step::{Lane, Stage, Step};

/// Whether `up` proves the registries at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verify {
    /// Prove every registry on every node.
    #[default]
    EveryNode,
    /// Prove nothing (`--no-verify`).
    Nothing,
}

fn step(step: impl Step + 'static) -> Box<dyn Step> {
    Box::new(step)
}

/// Returns a stage of the lanes that are not empty.
fn stage(lanes: impl IntoIterator<Item = Lane>) -> Stage {
    Stage {
        lanes: lanes.into_iter().filter(|lane| !lane.is_empty()).collect(),
    }
}
