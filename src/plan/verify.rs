//! `verify`: the proof alone.

use super::lanes::{proof_images, proofs};
use super::{Verify, stage, step};
use crate::registry::managed;
use crate::spec::Spec;
use crate::step::{Lane, Plan};
use crate::steps::proof::{Proving, Refusal};

/// Whether it is proven too that without the CA every node refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negative {
    /// It is.
    Proven,
    /// It is left out.
    LeftOut,
}

/// Returns the proof of every registry. External ones are not proven in the negative: nothing can be pushed there.
#[must_use]
pub fn verify(spec: &Spec, negative: Negative) -> Plan {
    let refusal = |registry| -> Lane {
        vec![step(Refusal {
            spec: spec.clone(),
            registry,
        })]
    };
    let refusals: Vec<Lane> = match negative {
        Negative::Proven => managed(spec).map(refusal).collect(),
        Negative::LeftOut => Vec::new(),
    };
    Plan::of(vec![
        stage(proof_images(spec, Verify::EveryNode, Proving::Always)),
        stage(refusals),
        stage(proofs(spec, Verify::EveryNode, Proving::Always)),
    ])
}
