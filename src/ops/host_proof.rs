//! What is known about the engine's host: whether it verifies a push to `localhost:port`, and what weakens it.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::docker::{Docker, EngineInfo, Product};
use crate::observe::{first_push_now, first_pushes, obstacle};
use crate::registry::{Delivery, managed};
use crate::report::Pull;
use crate::spec::{HostTrust, RegistryName, Spec};
use crate::step::Ctx;
use crate::verdict::FirstPush;

/// The version of Docker that repairs CVE-2026-92543.
const LOOPBACK_REPAIRED: (u64, u64, u64) = (29, 8, 2);

/// The result for the engine's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostProof {
    /// It refused a push before it had the CA, and accepted one after.
    Proven,
    /// It was not seen to do that, for this reason.
    NotProven(String),
}

impl HostProof {
    /// Returns the result and the reason as reports have them.
    pub(super) fn reported(self) -> (Pull, Option<String>) {
        match self {
            Self::Proven => (Pull::Proven, None),
            Self::NotProven(why) => (Pull::NotProven, Some(why)),
        }
    }
}

/// Returns whether the engine's host is proven for every registry that takes pushes, from the first push to each of them.
/// The caller has seen the engine accept a later push.
pub(super) fn host_proof(
    spec: &Spec,
    first_pushes: &BTreeMap<RegistryName, FirstPush>,
) -> HostProof {
    match spec.host_trust {
        HostTrust::Install => {}
        HostTrust::Leave => {
            let why = "kindreg leaves the engine's host alone (--no-host-trust)";
            return HostProof::NotProven(why.to_owned());
        }
    }
    let mut pushed = managed(spec)
        .filter(|registry| matches!(registry.delivery(), Delivery::Push))
        .peekable();
    if pushed.peek().is_none() {
        let why = "no registry takes pushes from the engine's host";
        return HostProof::NotProven(why.to_owned());
    }
    let doubt = pushed.find_map(|registry| {
        let domain = registry.local_domain();
        if registry.registry().verified_local_domain().is_none() {
            return Some(format!(
                "the certificate of registry {} does not cover localhost",
                registry.registry().name
            ));
        }
        match first_pushes.get(&registry.registry().name) {
            Some(FirstPush::Refused) => None,
            Some(FirstPush::Accepted(engine)) => Some(format!(
                "the engine accepted a push to {domain} before it had the registry's CA: {engine} does not verify TLS \
                 on loopback"
            )),
            Some(FirstPush::Failed(cause)) => Some(format!(
                "the push to {domain} before the engine had the CA failed for another reason: {cause}"
            )),
            Some(FirstPush::Obstructed(path)) => Some(obstructed(path, &domain)),
            None => Some(format!(
                "it is not known whether the engine refuses {domain} without the CA; run: kindreg up --name {}",
                spec.cluster
            )),
        }
    });
    doubt.map_or(HostProof::Proven, HostProof::NotProven)
}

/// Returns the first pushes that this run has noted, by registry.
pub(super) async fn noted_first_pushes(
    ctx: &Ctx,
    spec: &Spec,
) -> BTreeMap<RegistryName, FirstPush> {
    let mut noted = BTreeMap::new();
    for registry in spec.managed() {
        let push = ctx.verified(&registry.name).await.first_push;
        noted.extend(push.map(|push| (registry.name.clone(), push)));
    }
    noted
}

/// Returns the first pushes of earlier runs that still say something about the engine as it is now.
///
/// # Errors
/// The engine does not answer, or the record's notes can't be read.
pub(super) async fn known_first_pushes(
    docker: &dyn Docker,
    spec: &Spec,
) -> Result<BTreeMap<RegistryName, FirstPush>> {
    let mut known = BTreeMap::new();
    for (name, note) in first_pushes(docker, &spec.cluster).await? {
        let Some(registry) = spec.managed().find(|registry| registry.name == name) else {
            continue;
        };
        let now = first_push_now(docker, &spec.cluster, registry).await?;
        if now.is_some_and(|now| now.subject == note.subject) {
            known.insert(name, note.push);
        }
    }
    Ok(known)
}

fn obstructed(path: &str, domain: &str) -> String {
    format!(
        "{path} on the engine's host is not kindreg's, and docker obeys it for {domain}: it may trust another CA, or \
         verify nothing"
    )
}

/// Returns warnings about the engine's host, which kindreg can't repair.
///
/// # Errors
/// The engine does not answer.
pub(super) async fn host_warnings(docker: &dyn Docker, spec: &Spec) -> Result<Vec<String>> {
    let mut all = obstacles(docker, spec).await?;
    all.extend(loopback_flaw(&docker.info().await?));
    Ok(all)
}

/// Returns warnings about settings of somebody else that docker obeys for kindreg's registries.
///
/// # Errors
/// The engine does not answer.
pub(super) async fn obstacles(docker: &dyn Docker, spec: &Spec) -> Result<Vec<String>> {
    let mut all = Vec::new();
    if spec.host_trust == HostTrust::Leave {
        return Ok(all);
    }
    let info = docker.info().await?;
    for registry in managed(spec) {
        let (domain, registry) = (registry.local_domain(), registry.registry());
        let found = obstacle(docker, &info, &spec.cluster, registry).await?;
        all.extend(found.map(|path| obstructed(&path, &domain)));
    }
    Ok(all)
}

/// Returns the warning about an engine that verifies no certificate for a name that has a loopback address among others.
fn loopback_flaw(info: &EngineInfo) -> Option<String> {
    let version = version(&info.version)?;
    (info.product == Product::Docker && version < LOOPBACK_REPAIRED).then(|| {
        let (major, minor, patch) = LOOPBACK_REPAIRED;
        format!(
            "Docker {} verifies no certificate of a registry whose name has one loopback address among others \
             (CVE-2026-92543); Docker {major}.{minor}.{patch} does",
            info.version
        )
    })
}

/// Returns the first three numbers of a version; `None` if it has no two. Distributions append words to the third
/// (`20.10.24+dfsg1`).
fn version(text: &str) -> Option<(u64, u64, u64)> {
    let mut numbers = text.split('.').map(|part| {
        let end = part.find(|c: char| !c.is_ascii_digit());
        part.get(..end.unwrap_or(part.len()))?.parse().ok()
    });
    let (major, minor) = (numbers.next()??, numbers.next()??);
    Some((major, minor, numbers.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (text, expected) in [
            ("29.9.3", Some((29, 9, 3))),
            ("20.10.24+dfsg1", Some((20, 10, 24))),
            ("29.10.0-rc.1", Some((29, 10, 0))),
            ("27.5", Some((27, 5, 0))),
            ("dev", None),
            ("", None),
        ] {
            assert_eq!(version(text), expected, "{text}");
        }
        assert!(version("29.8.1") < Some(LOOPBACK_REPAIRED));
        assert!(version("29.10.0") > Some(LOOPBACK_REPAIRED));
    }
}
