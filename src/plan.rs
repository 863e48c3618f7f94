//! The plan: what `up` makes, as one literal list. The table of contents of the program.

use crate::render;
use crate::spec::{Registry, Spec};
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

/// Everything that a Spec takes, in order, and the end of what `earlier` ones left. Lanes of a stage run side by side.
#[must_use]
pub fn plan(spec: &Spec, earlier: &[Spec], verify: Verify) -> Plan {
    let cluster = || spec.cluster.clone();
    let whole = || spec.clone();
    let each =
        |lane: fn(&Spec, &Registry) -> Lane| spec.ours().map(move |registry| lane(spec, registry));
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
                std::iter::once(vec![step(steps::Nodes { spec: whole() })])
                    .chain(spec.ours().map(|one| registry(spec, earlier, one))),
            ),
            stage(
                std::iter::once(node_trust(spec))
                    .chain(node_hosts(spec).map(|hosts| vec![step(hosts)]))
                    .chain(node_credentials(spec))
                    .chain([host_trust(spec)])
                    .chain(each(proof_image).filter(|_| verify == Verify::EveryNode)),
            ),
            stage([vec![step(steps::Cluster { spec: whole() })]]),
            stage(
                std::iter::once(vec![step(steps::NodesReady { spec: whole() })])
                    .chain(announced(spec).map(|registry| hosting(spec, registry)))
                    .chain(each(proof).filter(|_| verify == Verify::EveryNode))
                    .chain(external_proofs(spec).filter(|_| verify == Verify::EveryNode)),
            ),
            // Last, so that nothing is taken away before its successor is proven.
            stage([retirement(spec, earlier)]),
        ],
    }
}

/// Everything that `down` is to undo: the plan, and what earlier Specs may have left.
#[must_use]
pub fn undo_plan(spec: &Spec, earlier: &[Spec]) -> Plan {
    let mut plan = plan(spec, &[], Verify::EveryNode);
    let left = retired_host_trust(spec, earlier).map(step).collect();
    plan.stages.push(stage([left]));
    plan
}

/// Removes what earlier Specs needed and this one does not, and then the memory of them.
fn retirement(spec: &Spec, earlier: &[Spec]) -> Lane {
    let folders_of = |spec: &Spec| {
        spec.registries
            .iter()
            .flat_map(Registry::node_folders)
            .collect::<Vec<_>>()
    };
    let wanted = folders_of(spec);
    let mut folders: Vec<String> = earlier.iter().flat_map(folders_of).collect();
    folders.retain(|folder| !wanted.contains(folder));
    folders.sort();
    folders.dedup();
    let hosts = node_hosts(spec);
    let spec = || spec.clone();
    let mut lane: Lane = retired_host_trust(&spec(), earlier)
        .map(|trust| step(steps::Retired(step(trust))))
        .collect();
    // Where some have an address today, their lines have replaced all others.
    if let (None, Some(old)) = (hosts, earlier.iter().find_map(node_hosts)) {
        lane.push(step(steps::Retired(step(old))));
    }
    if !folders.is_empty() {
        lane.push(step(steps::RetiredFolders {
            spec: spec(),
            folders,
        }));
    }
    let wanted = steps::password_domains(&spec());
    let mut domains: Vec<String> = earlier.iter().flat_map(steps::password_domains).collect();
    domains.retain(|domain| !wanted.contains(domain));
    domains.sort();
    domains.dedup();
    if !domains.is_empty() {
        lane.push(step(steps::RetiredCredentials {
            spec: spec(),
            domains,
        }));
    }
    lane.push(step(steps::Settled { spec: spec() }));
    lane
}

fn retired_host_trust(spec: &Spec, earlier: &[Spec]) -> impl Iterator<Item = steps::HostTrust> {
    let wanted: Vec<String> = spec.host_trusted().map(Registry::domain).collect();
    let all = earlier.iter();
    let all = all.flat_map(|old| old.host_trusted().map(move |registry| (old, registry)));
    all.filter(move |(_, registry)| !wanted.contains(&registry.domain()))
        .map(|(old, registry)| steps::HostTrust {
            spec: old.clone(),
            registry: registry.clone(),
        })
        .collect::<Vec<_>>()
        .into_iter()
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
    wanted.extend(spec.ours().map(|registry| registry.image.clone()));
    wanted.sort();
    wanted.dedup();
    wanted
        .into_iter()
        .map(|reference| vec![step(steps::Image { reference })])
        .collect()
}

fn registry(spec: &Spec, earlier: &[Spec], registry: &Registry) -> Lane {
    let retired = retired_login(earlier, registry);
    let (spec, cluster, registry) = (
        || spec.clone(),
        || spec.cluster.clone(),
        || registry.clone(),
    );
    let mut lane = vec![
        step(steps::Volumes {
            cluster: cluster(),
            registry: registry().name,
            data: registry().data,
        }),
        step(steps::RegistryContainer {
            spec: spec(),
            registry: registry(),
        }),
        step(steps::Certificate {
            spec: spec(),
            registry: registry(),
        }),
    ];
    // Before it serves: what it sends to nobody any more, another image must not find either.
    lane.extend(retired.map(|login| step(steps::Retired(step(login)))));
    if let Some(ca) = registry().upstream_ca {
        lane.push(step(steps::UpstreamTrust {
            cluster: cluster(),
            registry: registry(),
            ca,
        }));
    }
    lane.extend(steps::UpstreamCredentials::of(&spec(), &registry()).map(step));
    if registry().asks_password() {
        // Before it serves: distribution makes a user of its own where it finds none.
        lane.push(step(steps::Credentials {
            cluster: cluster(),
            registry: registry(),
        }));
    }
    lane.push(step(steps::Service {
        cluster: cluster(),
        registry: registry(),
    }));
    lane
}

/// Credentials that earlier settings left with a registry that needs none any more. Others' are written over.
fn retired_login(earlier: &[Spec], registry: &Registry) -> Option<steps::UpstreamCredentials> {
    let same = |old: &&Registry| old.name == registry.name;
    let mut left = earlier.iter().filter_map(|spec| {
        let old = spec.ours().find(same)?;
        steps::UpstreamCredentials::of(spec, old)
    });
    // They have one file, so that one of several stands for all.
    left.next().filter(|_| registry.upstream_login().is_none())
}

fn node_hosts(spec: &Spec) -> Option<steps::NodeHosts> {
    let any = !render::node_hosts(spec).is_empty();
    any.then(|| steps::NodeHosts { spec: spec.clone() })
}

fn node_trust(spec: &Spec) -> Lane {
    let spec = || spec.clone();
    vec![
        step(steps::ConfigPath { spec: spec() }),
        step(steps::NodeTrust { spec: spec() }),
    ]
}

fn node_credentials(spec: &Spec) -> Option<Lane> {
    let asks = spec.registries.iter().any(Registry::asks_password);
    asks.then(|| vec![step(steps::NodeCredentials { spec: spec.clone() })])
}

/// One after the other: they share folders.
fn host_trust(spec: &Spec) -> Lane {
    let lane = spec.host_trusted().map(|registry| steps::HostTrust {
        spec: spec.clone(),
        registry: registry.clone(),
    });
    lane.map(step).collect()
}

/// The registry that the cluster announces: the `ConfigMap` has room for one, and it is for pushing.
#[must_use]
pub fn announced(spec: &Spec) -> Option<&Registry> {
    spec.ours().find(|registry| registry.takes_pushes())
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

/// The proof alone of a registry that somebody else runs, for `verify`.
#[must_use]
pub fn external_proof(spec: &Spec, registry: &Registry) -> steps::ExternalProof {
    steps::ExternalProof {
        spec: spec.clone(),
        registry: registry.clone(),
    }
}

fn external_proofs(spec: &Spec) -> impl Iterator<Item = Lane> {
    let externals = spec.externals();
    externals.map(|registry| vec![step(external_proof(spec, registry))])
}

fn step(step: impl Step + 'static) -> Box<dyn Step> {
    Box::new(step)
}

fn stage(lanes: impl IntoIterator<Item = Lane>) -> Stage {
    Stage {
        lanes: lanes.into_iter().collect(),
    }
}
