//! The plan: what `up` makes, as one literal list. The table of contents of the program.

use crate::spec::{HostTrust, Registry, Spec};
use crate::step::{Lane, Plan, Stage, Step};
use crate::steps;

/// Whether `up` ends with the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// It does.
    EveryNode,
    /// It ends before it.
    Nothing,
}

/// Everything that a Spec takes, in order. Lanes of a stage run side by side.
#[must_use]
pub fn plan(spec: &Spec, verify: Verify) -> Plan {
    let cluster = || spec.cluster.clone();
    let whole = || spec.clone();
    let each = |lane: fn(&Spec, &Registry) -> Lane| {
        spec.registries
            .iter()
            .map(move |registry| lane(spec, registry))
    };
    Plan {
        images: stage(images(spec)),
        stages: vec![
            stage([vec![
                step(steps::Record { spec: whole() }),
                step(steps::OriginalKubeconfig { cluster: cluster() }),
                step(steps::Network { cluster: cluster() }),
            ]]),
            // kind is started here, and is at work until `Cluster`.
            stage(
                std::iter::once(vec![step(steps::Nodes { spec: whole() })]).chain(each(registry)),
            ),
            stage(
                std::iter::once(vec![step(steps::NodeTrust { spec: whole() })])
                    .chain(node_credentials(spec))
                    .chain(each(host_trust))
                    .chain(each(proof_image).filter(|_| verify == Verify::EveryNode)),
            ),
            stage([vec![step(steps::Cluster { spec: whole() })]]),
            stage(
                std::iter::once(vec![step(steps::NodesReady { spec: whole() })])
                    .chain(spec.registries.first().map(|first| hosting(spec, first)))
                    .chain(each(proof).filter(|_| verify == Verify::EveryNode)),
            ),
        ],
    }
}

/// The proof alone, for `verify`.
#[must_use]
pub fn proof_only(spec: &Spec, registry: &Registry) -> (steps::ProofImage, steps::Proof) {
    (
        steps::ProofImage {
            spec: spec.clone(),
            registry: registry.clone(),
        },
        steps::Proof {
            spec: spec.clone(),
            registry: registry.clone(),
        },
    )
}

fn images(spec: &Spec) -> Vec<Lane> {
    let mut wanted = vec![spec.node_image.clone()];
    wanted.extend(
        spec.registries
            .iter()
            .map(|registry| registry.image.clone()),
    );
    wanted.sort();
    wanted.dedup();
    wanted
        .into_iter()
        .map(|reference| vec![step(steps::Image { reference })])
        .collect()
}

fn registry(spec: &Spec, registry: &Registry) -> Lane {
    let (spec, cluster, registry) = (
        || spec.clone(),
        || spec.cluster.clone(),
        || registry.clone(),
    );
    let mut lane = vec![
        step(steps::Volumes {
            cluster: cluster(),
            registry: registry().name,
        }),
        step(steps::RegistryContainer {
            spec: spec(),
            registry: registry(),
        }),
        step(steps::Certificate {
            spec: spec(),
            registry: registry(),
        }),
        step(steps::Service {
            cluster: cluster(),
            registry: registry(),
        }),
    ];
    if registry().asks_password() {
        // Before it serves: distribution makes a user of its own where it finds none.
        let service = lane.len() - 1;
        lane.insert(
            service,
            step(steps::Credentials {
                cluster: cluster(),
                registry: registry(),
            }),
        );
    }
    lane
}

fn node_credentials(spec: &Spec) -> Option<Lane> {
    let asks = spec.registries.iter().any(Registry::asks_password);
    asks.then(|| vec![step(steps::NodeCredentials { spec: spec.clone() })])
}

fn host_trust(spec: &Spec, registry: &Registry) -> Lane {
    match spec.host_trust {
        HostTrust::Install => vec![step(steps::HostTrust {
            spec: spec.clone(),
            registry: registry.clone(),
        })],
        HostTrust::Leave => Vec::new(),
    }
}

fn hosting(spec: &Spec, registry: &Registry) -> Lane {
    vec![step(steps::Hosting {
        cluster: spec.cluster.clone(),
        registry: registry.clone(),
    })]
}

fn proof_image(spec: &Spec, registry: &Registry) -> Lane {
    vec![step(proof_only(spec, registry).0)]
}

fn proof(spec: &Spec, registry: &Registry) -> Lane {
    vec![step(proof_only(spec, registry).1)]
}

fn step(step: impl Step + 'static) -> Box<dyn Step> {
    Box::new(step)
}

fn stage(lanes: impl IntoIterator<Item = Lane>) -> Stage {
    Stage {
        lanes: lanes.into_iter().collect(),
    }
}
