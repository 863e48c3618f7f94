//! The chain from a server's certificate to a CA that clients get: in order, or the reason why there is none.

use rustls_pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};

use super::certificate::Certificate;
use super::{OwnFlaw, inspected};
use crate::pki::inspect::Constraints;
use crate::pki::on_one_line;

type Der = CertificateDer<'static>;

/// What is above a server's certificate.
pub(super) struct Chain {
    /// The certificates between it and the CA; each signed the one before.
    pub(super) intermediates: Vec<Der>,
    /// The CA.
    pub(super) anchor: Der,
}

/// Finds the chain of `leaf` through the certificates that were `offered` to one that is `trusted`.
pub(super) fn build(
    leaf: &Der,
    offered: &[Der],
    trusted: &[Der],
    now: OffsetDateTime,
) -> Result<Chain, OwnFlaw> {
    let mut between: Vec<Der> = offered.iter().chain(trusted).cloned().collect();
    between.retain(|der| {
        der != leaf && Certificate::parse(der).is_ok_and(|one| !one.is_self_issued())
    });
    let mut roots = trusted.to_vec();
    roots.retain(|der| Certificate::parse(der).is_ok_and(|one| one.is_self_issued()));
    // Up to a root, if there is one: other clients may trust that alone.
    let found =
        verified(leaf, &between, &roots, now).or_else(|_| verified(leaf, &between, trusted, now));
    let chain = found.map_err(|cause| {
        explain(leaf, offered, trusted, now, &cause).unwrap_or_else(|flaw| flaw)
    })?;
    // What Go asks and webpki does not: https://pkg.go.dev/crypto/x509#Certificate.CheckSignatureFrom
    let is_its_own = chain.anchor == *leaf;
    for der in chain.intermediates.iter().chain([&chain.anchor]) {
        let one = Certificate::parse(der)?;
        if !is_its_own {
            one.may_sign()?;
        }
        one.is_in_time(now)?;
    }
    Ok(chain)
}

/// Returns the chain that webpki, the verifier of rustls, finds.
fn verified(
    leaf: &Der,
    between: &[Der],
    trusted: &[Der],
    now: OffsetDateTime,
) -> Result<Chain, Error> {
    let since_epoch = now - OffsetDateTime::UNIX_EPOCH;
    let at = UnixTime::since_unix_epoch(since_epoch.try_into().unwrap_or_default());
    let anchors = trusted
        .iter()
        .map(anchor_from_trusted_cert)
        .collect::<Result<Vec<_>, _>>()?;
    let server = EndEntityCert::try_from(leaf)?;
    let path = server.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        between,
        at,
        KeyUsage::server_auth(),
        None,
        None,
    )?;
    let mut all = anchors.iter().zip(trusted);
    let anchor = all.find(|(anchor, _)| *anchor == path.anchor());
    let intermediates = path.intermediate_certificates();
    Ok(Chain {
        intermediates: intermediates.map(|one| one.der().into_owned()).collect(),
        anchor: anchor.ok_or(Error::UnknownIssuer)?.1.clone(),
    })
}

/// Returns why there is no chain. It follows the issuers by their names, as a person would.
fn explain(
    leaf: &Der,
    offered: &[Der],
    trusted: &[Der],
    now: OffsetDateTime,
    cause: &Error,
) -> Result<OwnFlaw, OwnFlaw> {
    let mut path: Vec<&Der> = vec![leaf];
    let mut current = Certificate::parse(leaf)?;
    loop {
        let issued_by = |der: &&Der| {
            Certificate::parse(der).is_ok_and(|issuer| current.names_as_issuer(&issuer))
        };
        let anchor = trusted.iter().find(issued_by);
        let next = offered
            .iter()
            .find(|der| issued_by(der) && !path.contains(der));
        let (issuer, is_anchor) = match (anchor, next) {
            (Some(anchor), _) => (anchor, true),
            (None, Some(next)) => (next, false),
            (None, None) if current.is_self_issued() => {
                return Ok(OwnFlaw::OtherAuthority {
                    root: current.name(),
                });
            }
            (None, None) => {
                return Ok(OwnFlaw::Incomplete {
                    subject: current.name(),
                    issuer: current.issuer(),
                });
            }
        };
        current.has_accepted_signature()?;
        let subject = current.name();
        current = Certificate::parse(issuer)?;
        if issuer != leaf {
            current.may_sign()?;
        }
        current.is_in_time(now)?;
        path.push(issuer);
        if is_anchor {
            return Ok(match cause {
                Error::NameConstraintViolation => constrained(&path)?,
                Error::InvalidSignatureForPublicKey | Error::UnknownIssuer => {
                    OwnFlaw::OtherIssuer {
                        subject,
                        issuer: current.name(),
                    }
                }
                other => OwnFlaw::Refused {
                    cause: other.to_string(),
                },
            });
        }
    }
}

/// Returns the flaw of a chain of which one CA may not speak for the first certificate.
fn constrained(path: &[&Der]) -> Result<OwnFlaw, OwnFlaw> {
    for der in path {
        let one = inspected(der)?;
        if let Some(constraints) = one.constraints {
            return Ok(OwnFlaw::Constrained {
                authority: Certificate::parse(der)?.name(),
                limits: limits(&constraints),
            });
        }
    }
    Ok(OwnFlaw::Refused {
        cause: Error::NameConstraintViolation.to_string(),
    })
}

fn limits(constraints: &Constraints) -> String {
    let Constraints {
        permitted,
        excluded,
    } = constraints;
    let all = [("permitted", permitted), ("excluded", excluded)];
    let all = all.into_iter().filter(|(_, names)| !names.is_empty());
    let all = all.map(|(what, names)| format!("{what}: {}", names.join(", ")));
    on_one_line(&all.collect::<Vec<_>>().join("; "))
}
