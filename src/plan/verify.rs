//! The plan of `verify`: the proof and nothing else.

use super::lanes::{proof_images, proofs};
use super::{Verify, stage, step};
use crate::registry::managed;
use crate::spec::Spec;
use crate::step::{Lane, Plan};
use crate::steps::proof::{Proving, Refusal};

/// Whether `verify` also proves that every node refuses the registry without its CA (`--strict`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negative {
    /// Prove it.
    Proven,
    /// Leave it out.
    LeftOut,
}

/// Returns the plan that proves every registry of `spec`. External registries have no negative proof, because kindreg
/// pushes nothing to them.
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
