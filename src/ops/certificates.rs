//! Gathers the user's own certificates for the registries of a cluster, and warns before they expire.

use std::sync::Arc;

use anyhow::{Error, Result};
use time::OffsetDateTime;

use super::ports::Wanted;
use crate::docker::Docker;
use crate::observe::identity;
use crate::pki::{self, Identity, Validated};
use crate::problem::Problem;
use crate::spec::request::{CertificateRequest, RegistryRequest};
use crate::spec::{Host, HostTrust, OwnCertificate, Registry, Spec, required_names};
use crate::step::Ctx;

/// Puts the user's own certificates into the context: those in files, and those that registries have already. Returns
/// warnings about them.
///
/// # Errors
/// Clients would refuse the certificate of a registry, or a registry lost one that no file has.
pub(super) async fn gather(ctx: &mut Ctx, wanted: &Wanted) -> Result<Vec<String>> {
    let (docker, spec) = (&*wanted.reads, &wanted.spec);
    if let Some(recorded) = &wanted.recorded {
        for registry in recorded.current.managed() {
            let held = held(docker, &recorded.current, registry).await?;
            ctx.own_certificates.extend(held);
        }
    }
    let files = wanted.request.registries.iter().filter_map(of_files);
    ctx.own_certificates.extend(files);
    let mut warnings = Vec::new();
    for registry in spec.managed() {
        let Some(own) = registry.own_certificate() else {
            continue;
        };
        let identity = ctx.own_certificates.get(&own);
        let identity = identity.ok_or_else(|| lost(spec, registry))?;
        let now = OffsetDateTime::now_utc();
        let validated = pki::revalidate(identity, &required_names(&registry.host), now);
        let validated =
            validated.map_err(|flaw| Error::from(flaw).context(refused(spec, registry)))?;
        warnings.extend(warnings_about(spec, registry, &validated, now));
    }
    Ok(warnings)
}

/// Returns warnings about the user's own certificates that registries have.
pub(super) async fn warnings(docker: &dyn Docker, spec: &Spec) -> Result<Vec<String>> {
    let (mut all, now) = (Vec::new(), OffsetDateTime::now_utc());
    for registry in spec.managed() {
        if let Some((_, identity)) = held(docker, spec, registry).await?
            && let Ok(validated) = pki::revalidate(&identity, &required_names(&registry.host), now)
        {
            all.extend(warnings_about(spec, registry, &validated, now));
        }
    }
    Ok(all)
}

/// Returns the certificate that a registry has, if it is the one of the record.
async fn held(
    docker: &dyn Docker,
    spec: &Spec,
    registry: &Registry,
) -> Result<Option<(OwnCertificate, Arc<Identity>)>> {
    let Some(own) = registry.own_certificate() else {
        return Ok(None);
    };
    let found = identity(docker, &spec.cluster, registry).await?;
    let found = found.filter(|found| OwnCertificate::of(found) == Ok(own));
    Ok(found.map(|found| (own, Arc::new(found))))
}

/// Returns the certificate of the files that a registry names.
fn of_files(asked: &RegistryRequest) -> Option<(OwnCertificate, Arc<Identity>)> {
    match &asked.distribution()?.certificate.value {
        CertificateRequest::Generated | CertificateRequest::Recorded(_) => None,
        CertificateRequest::Files(files) => {
            Some((files.fingerprints(), Arc::clone(files.identity())))
        }
    }
}

/// Returns what the user should know about a certificate that clients accept.
fn warnings_about(
    spec: &Spec,
    registry: &Registry,
    validated: &Validated,
    now: OffsetDateTime,
) -> Vec<String> {
    let mut all = Vec::new();
    if validated.expires_soon(now) {
        let first = &validated.first_to_expire;
        all.push(format!(
            "{} of registry {} expires at {}; replace its files, then run: kindreg up",
            first.subject, registry.name, first.not_after
        ));
    }
    if let (HostTrust::Install, Some(local), None) = (
        spec.host_trust,
        registry.local_domain(),
        registry.verified_local_domain(),
    ) {
        all.push(format!(
            "the certificate of registry {} does not cover localhost: docker pushes to {local} without verifying it",
            registry.name
        ));
    }
    let further = pki::Names::new(registry.names.iter().map(Host::as_str), []);
    if let Err(flaw) = pki::covers(&validated.identity, &further) {
        all.push(format!(
            "registry {}: {flaw}: nodes pull by this name, as they connect to {}, and other clients refuse it",
            registry.name, registry.host
        ));
    }
    all
}

fn refused(spec: &Spec, registry: &Registry) -> Problem {
    Problem::usage(
        format!(
            "clients would refuse the certificate of registry {}",
            registry.name
        ),
        format!(
            "set `tls` to the files of another one, or remove it from kindreg.toml; run: kindreg up --name {} --config \
             kindreg.toml",
            spec.cluster
        ),
    )
}

fn lost(spec: &Spec, registry: &Registry) -> Problem {
    Problem::usage(
        format!(
            "the certificate of registry {} is missing from its volume, and `tls` is not set",
            registry.name
        ),
        format!(
            "use the settings file that sets `tls`; run: kindreg up --name {} --config kindreg.toml",
            spec.cluster
        ),
    )
}
