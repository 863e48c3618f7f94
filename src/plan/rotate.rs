//! The plan of `login --rotate`: replaces a registry's password without a failed pull.

use super::{stage, step};
use crate::login::DockerConfig;
use crate::registry::Managed;
use crate::spec::Spec;
use crate::step::Plan;
use crate::steps::cluster::PullSecrets;
use crate::steps::nodes::NodeCredentials;
use crate::steps::proof::{Proof, ProofImage, Proving};
use crate::steps::registry::{DockerLogin, NextUser, RetiredUser};

/// Returns the plan that rotates one registry's password. The registry accepts both users until all clients have the
/// new password and a pod on every node has pulled with it. After a kill, the same plan continues where it stopped.
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
