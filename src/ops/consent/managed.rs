//! What settings ask of a registry that kindreg runs: its image, trust for its names, and the upstream of a cache.

use super::{Change, Question, has_same_authority, is_private};
use crate::spec::request::{CertificateRequest, RegistryRequest};
use crate::spec::{Backend, Cache, Distribution, Host, ImageRef, Registry, Serves, Upstream};

/// Returns the questions about one registry; none if somebody else runs it.
pub(super) fn questions(
    change: Change<'_>,
    asked: &RegistryRequest,
    registry: &Registry,
) -> Vec<Question> {
    let Backend::Distribution(Distribution { image: runs, .. }) = &registry.backend else {
        return Vec::new();
    };
    let mut all = Vec::new();
    let domain = registry.domain();
    let old = change.old(registry);
    let is_found = asked
        .distribution()
        .is_some_and(|settings| change.is_found(&settings.image));
    if is_found && *runs != ImageRef::registry() && !did_run(change, registry, runs) {
        all.push(Question::new(format!(
            "image {runs} will run as registry {}, which gets its password and everything that is pushed to it",
            registry.name
        )));
    }
    if let Some(upstream) = foreign_upstream(registry, old) {
        all.push(Question::new(format!(
            "nodes will trust the CA in upstream_ca for {upstream}, which may be a public registry"
        )));
    }
    if let Some((image, cache)) = sends(registry)
        && let Some(names) = &cache.login
        && old.and_then(sends) != Some((image, cache))
    {
        let upstream = &cache.upstream;
        all.push(Question::new(format!(
            "image {image} will send ${} and ${} to {upstream}, and everyone who reaches {domain} can pull with them",
            names.username, names.password
        )));
    }
    let authority = authority(asked);
    let planted = change.is_newly_trusted(registry) && !is_private(&registry.host);
    if planted {
        all.push(Question {
            what: format!(
                "the engine's host will trust {authority} for {domain}, which may be a public registry"
            ),
            otherwise: "leave the host as it is with --no-host-trust, or choose a host name in .test",
        });
    }
    let is_known = |host: &Host| {
        old.is_some_and(|old| {
            has_same_authority(old, registry) && old.hosts().any(|known| known == host)
        })
    };
    let brings_authority = asked
        .distribution()
        .is_some_and(|settings| change.is_found(&settings.certificate));
    for host in std::iter::once(&asked.host).chain(&asked.names) {
        // The question about the engine's host is about the same CA.
        let is_asked = planted && host.value == registry.host;
        let is_found = brings_authority || change.is_found(host);
        if is_found && !is_asked && !is_private(&host.value) && !is_known(&host.value) {
            all.push(Question::new(format!(
                "every node will trust {authority} for {}, which may be a public registry",
                registry.domain_of(&host.value)
            )));
        }
    }
    all
}

/// Returns the CA that clients get, in words: the user's with its fingerprint.
fn authority(asked: &RegistryRequest) -> String {
    let source = asked
        .distribution()
        .map(|settings| &settings.certificate.value);
    match source {
        Some(CertificateRequest::Files(files)) => {
            format!("the CA in kindreg.toml ({})", files.authorities())
        }
        Some(CertificateRequest::Generated | CertificateRequest::Recorded(_)) | None => {
            "a new CA".to_owned()
        }
    }
}

/// Returns whether the registry of that name ran from this image before.
fn did_run(change: Change<'_>, registry: &Registry, image: &ImageRef) -> bool {
    let before = change.before.into_iter();
    let mut old = before.flat_map(|before| &before.registries);
    old.any(|old| match &old.backend {
        Backend::Distribution(settings) => old.name == registry.name && settings.image == *image,
        Backend::External(_) => false,
    })
}

/// Returns an upstream with a public name for which nodes are to trust a CA of its own, if that is new.
fn foreign_upstream<'a>(registry: &'a Registry, old: Option<&Registry>) -> Option<&'a Upstream> {
    let trusted = |registry: &'a Registry| {
        let (_, cache) = sends(registry)?;
        Some((&cache.upstream, cache.ca.as_ref()?))
    };
    let (upstream, ca) = trusted(registry)?;
    let same = old
        .and_then(sends)
        .is_some_and(|(_, cache)| cache.upstream == *upstream && cache.ca.as_ref() == Some(ca));
    (!is_private(&upstream.host) && !same).then_some(upstream)
}

/// Returns the image and the settings of a cache, which decide who gets the user's variables.
const fn sends(registry: &Registry) -> Option<(&ImageRef, &Cache)> {
    match &registry.backend {
        Backend::Distribution(Distribution {
            image,
            serves: Serves::Cache(cache),
            ..
        }) => Some((image, cache)),
        Backend::Distribution(_) | Backend::External(_) => None,
    }
}
