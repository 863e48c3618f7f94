//! `login --rotate`: a new password in the place of the old one, without one failed pull.

use super::{stage, step};
use crate::login::DockerConfig;
use crate::registry::Managed;
use crate::spec::Spec;
use crate::step::Plan;
use crate::steps::cluster::PullSecrets;
use crate::steps::nodes::NodeCredentials;
use crate::steps::proof::{Proof, ProofImage, Proving};
use crate::steps::registry::{DockerLogin, NextUser, RetiredUser};

/// Returns the rotation of one registry's password: both users are admitted until everybody has the new one, and a pod on
/// every node has pulled with it. Killed at any point, the same plan goes on where it stopped.
#[must_use]
pub fn rotate(spec: &Spec, registry: &Managed, config: &DockerConfig) -> Plan {
    let (spec, registry) = (|| spec.clone(), || registry.clone());
    let when = Proving::Always;
    #[rustfmt::skip]
    let stages = vec![
        stage([vec![step(NextUser { spec: spec(), registry: registry() })]]),
        stage([
            vec![step(NodeCredentials { spec: spec() }), step(PullSecrets { spec: spec() })],
            vec![step(DockerLogin { registry: registry(), config: config.clone() })],
        ]),
        stage([vec![step(ProofImage { spec: spec(), registry: registry(), when })]]),
        stage([vec![step(Proof { spec: spec(), registry: registry(), when })]]),
        stage([vec![step(RetiredUser { spec: spec(), registry: registry() })]]),
    ];
    Plan::of(stages)
}
