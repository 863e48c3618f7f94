//! What earlier Specs needed and this one does not: it is removed, and then forgotten.

use super::{lanes, step};
use crate::registry::{Managed, managed};
use crate::spec::{Registry, Spec};
use crate::step::Lane;
use crate::steps::Retired;
use crate::steps::cluster::Settled;
use crate::steps::host::HostTrust;
use crate::steps::nodes::{RetiredCredentials, RetiredFolders, password_domains};

/// What `earlier` Specs left on the host and in nodes.
pub(super) fn retirement(spec: &Spec, earlier: &[Spec]) -> Lane {
    let mut lane: Lane = host_trust(spec, earlier)
        .into_iter()
        .map(|trust| step(Retired(step(trust))))
        .collect();
    // Where some have an address today, their lines have replaced all others.
    if lanes::addresses(spec).is_empty() {
        let old = earlier.iter().map(lanes::addresses);
        let old = old.flatten().next();
        lane.extend(old.map(|old| step(Retired(old))));
    }
    let folders = gone(spec, earlier, |spec| {
        let folders = spec.registries.iter().flat_map(Registry::node_folders);
        folders.collect()
    });
    if !folders.is_empty() {
        lane.push(step(RetiredFolders {
            spec: spec.clone(),
            folders,
        }));
    }
    let domains = gone(spec, earlier, password_domains);
    if !domains.is_empty() {
        lane.push(step(RetiredCredentials {
            spec: spec.clone(),
            domains,
        }));
    }
    lane.push(step(Settled { spec: spec.clone() }));
    lane
}

/// Returns what earlier Specs have of something and this one has not, sorted.
fn gone(spec: &Spec, earlier: &[Spec], of: impl Fn(&Spec) -> Vec<String>) -> Vec<String> {
    let wanted = of(spec);
    let mut gone: Vec<String> = earlier.iter().flat_map(of).collect();
    gone.retain(|one| !wanted.contains(one));
    gone.sort();
    gone.dedup();
    gone
}

/// Trust of the engine's host in domains that it no longer has to trust.
pub(super) fn host_trust(spec: &Spec, earlier: &[Spec]) -> Vec<HostTrust> {
    let wanted: Vec<String> = spec.host_trusted().map(Registry::domain).collect();
    let all = earlier
        .iter()
        .flat_map(|old| old.host_trusted().map(move |registry| (old, registry)));
    let gone = all.filter(|(_, registry)| !wanted.contains(&registry.domain()));
    gone.map(|(old, registry)| HostTrust {
        spec: old.clone(),
        registry: registry.clone(),
    })
    .collect()
}

/// Set-up that earlier settings of a registry took and today's do not, newest settings first, each once.
pub(super) fn setup(earlier: &[Spec], registry: &Managed) -> Lane {
    let mut seen: Vec<_> = registry.setup().iter().map(|step| step.id()).collect();
    let mut lane: Lane = Vec::new();
    for old in earlier.iter().rev() {
        let name = &registry.registry().name;
        let same = managed(old).find(|old| old.registry().name == *name);
        for old in same.iter().flat_map(|old| old.setup()) {
            if !seen.contains(&old.id()) {
                seen.push(old.id());
                lane.push(step(Retired(old)));
            }
        }
    }
    lane
}
