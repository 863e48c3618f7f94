//! Steps that remove what earlier Specs needed and this one does not.

use super::{lanes, step};
use crate::spec::{Registry, Spec};
use crate::step::Lane;
use crate::steps::Retired;
use crate::steps::cluster::Settled;
use crate::steps::host::HostTrust;
use crate::steps::nodes::{RetiredCredentials, RetiredFolders, password_domains};

/// Returns the steps that remove what `earlier` Specs left on the host and in nodes, and then forget those Specs.
pub(super) fn retirement(spec: &Spec, earlier: &[Spec]) -> Lane {
    let lost: Vec<String> = lanes::lost_loopback(spec, earlier)
        .iter()
        .map(HostTrust::domain)
        .collect();
    let mut lane: Lane = host_trust(spec, earlier)
        .into_iter()
        // Those are removed before pushes.
        .filter(|trust| !lost.contains(&trust.domain()))
        .map(|trust| step(Retired(step(trust))))
        .collect();
    // Today's addresses, if there are any, have already replaced the earlier lines.
    if lanes::addresses(spec).is_empty() {
        let old = earlier.iter().map(lanes::addresses);
        let old = old.flatten().next();
        lane.extend(old.map(|old| step(Retired(old))));
    }
    let folders = retired(spec, earlier, |spec| {
        let folders = spec.registries.iter().flat_map(Registry::node_folders);
        folders.collect()
    });
    if !folders.is_empty() {
        lane.push(step(RetiredFolders {
            spec: spec.clone(),
            folders,
        }));
    }
    let domains = retired(spec, earlier, password_domains);
    if !domains.is_empty() {
        lane.push(step(RetiredCredentials {
            spec: spec.clone(),
            domains,
        }));
    }
    lane.push(step(Settled { spec: spec.clone() }));
    lane
}

/// Returns what `of` finds in earlier Specs and not in this one, sorted.
fn retired(spec: &Spec, earlier: &[Spec], of: impl Fn(&Spec) -> Vec<String>) -> Vec<String> {
    let wanted = of(spec);
    let mut retired: Vec<String> = earlier.iter().flat_map(of).collect();
    retired.retain(|one| !wanted.contains(one));
    retired.sort();
    retired.dedup();
    retired
}

/// Returns the host trust of earlier Specs in domains that `spec` does not need.
pub(super) fn host_trust(spec: &Spec, earlier: &[Spec]) -> Vec<HostTrust> {
    let wanted: Vec<String> = lanes::host_trusts(spec)
        .map(|trust| trust.domain())
        .collect();
    let all = earlier.iter().flat_map(lanes::host_trusts);
    all.filter(|trust| !wanted.contains(&trust.domain()))
        .collect()
}
