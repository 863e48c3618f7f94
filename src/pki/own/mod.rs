//! Reads the user's own certificate with its key and CA, and checks it as the clients of a registry do.
//!
//! Those clients are written in Go (containerd, docker) or use OpenSSL (curl in nodes). What one of them refuses is
//! refused here, before anything starts, with its reason.

use rustls_pki_types::CertificateDer;
use secrecy::SecretString;
use time::{Duration, OffsetDateTime};

use super::inspect::read;
use super::judge::{lacking, pem_certificates, pem_of};
use super::{Identity, Inspection, Names};
use certificate::Certificate;

mod certificate;
mod chain;
mod flaw;
mod key;
#[cfg(test)]
mod tests;

pub use flaw::{OwnFile, OwnFlaw, Paths};

/// The most KiB of CA certificates in PEM. A company has a handful of CAs.
const LARGEST_KIB: usize = 64;

/// How long before its expiry the user is warned, unless a third of its life is shorter.
const WARN_BEFORE: Duration = Duration::days(30);

/// A certificate that clients accept, in the form in which a registry and its clients get it.
#[derive(Debug)]
pub struct Validated {
    /// The CAs, the chain from the leaf to the last intermediate, and the key, without any text around them.
    pub identity: Identity,
    /// The certificate of the chain that expires first, its CA included.
    pub first_to_expire: Inspection,
}

impl Validated {
    /// Returns whether to warn the user that it expires: 30 days before, or a third of its life if that is shorter.
    #[must_use]
    pub fn expires_soon(&self, now: OffsetDateTime) -> bool {
        let Inspection {
            not_before,
            not_after,
            ..
        } = self.first_to_expire;
        let life: Duration = not_after - not_before;
        not_after - now < WARN_BEFORE.min(life / 3)
    }
}

/// Checks a certificate, its key and its CA, and puts the chain in order. `ca` may be `None` if the root is among the
/// certificates. The result is valid again.
///
/// # Errors
/// The first flaw for which a client would refuse it, or why a file can't be read.
pub fn validate(
    certificate: &str,
    key: &SecretString,
    ca: Option<&str>,
    now: OffsetDateTime,
) -> Result<Validated, OwnFlaw> {
    let offered = certificates(OwnFile::Certificate, certificate)?;
    for der in &offered {
        Certificate::parse(der)?.has_accepted_key()?;
    }
    let key = key::read(key)?;
    let leaf = leaf(&offered, &key.public).ok_or(OwnFlaw::KeyMismatch)?;
    let server = Certificate::parse(leaf)?;
    server.may_serve()?;
    server.is_in_time(now)?;
    let trusted = trusted(&offered, ca)?;
    let chain = chain::build(leaf, &offered, &trusted, now)?;

    let mut presented = vec![leaf.clone()];
    presented.extend(chain.intermediates);
    let mut first_to_expire = inspected(&chain.anchor)?;
    for der in &presented {
        let one = inspected(der)?;
        if one.not_after <= first_to_expire.not_after {
            first_to_expire = one;
        }
    }
    Ok(Validated {
        identity: Identity {
            ca_pem: pem_of(&trusted),
            leaf_pem: pem_of(&presented),
            key: key.pem,
        },
        first_to_expire,
    })
}

/// Checks a certificate that was validated before again, and that it covers these names.
///
/// # Errors
/// The first flaw for which a client would refuse it.
pub fn revalidate(
    identity: &Identity,
    names: &Names,
    now: OffsetDateTime,
) -> Result<Validated, OwnFlaw> {
    let Identity {
        ca_pem,
        leaf_pem,
        key,
    } = identity;
    let validated = validate(leaf_pem, key, Some(ca_pem), now)?;
    covers(identity, names)?;
    Ok(validated)
}

/// Checks that a certificate covers these names, compared as a client does.
///
/// A wildcard directly below a top-level name (`*.test`) covers nothing here: Go accepts it, but curl, OpenSSL and rustls
/// do not.
///
/// # Errors
/// [`OwnFlaw::NamesMissing`], or there is no valid certificate.
pub fn covers(identity: &Identity, names: &Names) -> Result<(), OwnFlaw> {
    let found = certificates(OwnFile::Certificate, &identity.leaf_pem)?;
    let first = found.first().ok_or(OwnFlaw::Empty(OwnFile::Certificate))?;
    let missing = lacking(first, names);
    let missing = missing.map_err(|cause| unreadable(OwnFile::Certificate, &cause))?;
    if missing.is_empty() {
        Ok(())
    } else {
        Err(OwnFlaw::NamesMissing { missing })
    }
}

/// Returns the certificate with this key: a server's rather than a CA's, and of several the one that expires last, as a
/// certificate may have been renewed with the same key.
fn leaf<'a>(
    offered: &'a [CertificateDer<'static>],
    public: &[u8],
) -> Option<&'a CertificateDer<'static>> {
    let rank = |der: &CertificateDer<'_>| {
        let one = Certificate::parse(der).ok()?;
        one.has_key(public)
            .then(|| (!one.is_authority(), one.not_after()))
    };
    let ranked = offered.iter().filter_map(|der| Some((rank(der)?, der)));
    ranked.max_by_key(|(rank, _)| *rank).map(|(_, der)| der)
}

/// Returns the CAs that clients get: those of `ca`, or else the roots among the certificates.
fn trusted(
    offered: &[CertificateDer<'static>],
    ca: Option<&str>,
) -> Result<Vec<CertificateDer<'static>>, OwnFlaw> {
    let Some(ca) = ca else {
        let mut roots = offered.to_vec();
        roots.retain(|der| Certificate::parse(der).is_ok_and(|one| one.is_self_issued()));
        return if roots.is_empty() {
            Err(OwnFlaw::NoAuthority)
        } else {
            Ok(roots)
        };
    };
    if key::is_in(ca) {
        return Err(OwnFlaw::KeyInCa);
    }
    let found = certificates(OwnFile::Ca, ca)?;
    for der in &found {
        let one = Certificate::parse(der)?;
        one.has_accepted_key()?;
        // A certificate that signed itself is its own CA, whatever it says.
        let is_its_own = one.is_self_issued() && offered.contains(der);
        if !one.is_authority() && !is_its_own {
            return Err(OwnFlaw::NotAuthority(OwnFile::Ca, one.name()));
        }
    }
    if pem_of(&found).len() > LARGEST_KIB * 1024 {
        return Err(OwnFlaw::TooLarge { kib: LARGEST_KIB });
    }
    Ok(found)
}

/// Reads the certificates of a file. Windows puts a byte order mark before the first line.
fn certificates(file: OwnFile, text: &str) -> Result<Vec<CertificateDer<'static>>, OwnFlaw> {
    let text = text.trim_start_matches('\u{feff}');
    let found = pem_certificates(text).map_err(|cause| unreadable(file, &cause))?;
    if found.is_empty() {
        let is_swapped = file == OwnFile::Certificate && key::is_in(text);
        return Err(if is_swapped {
            OwnFlaw::Swapped(file)
        } else {
            OwnFlaw::Empty(file)
        });
    }
    for der in &found {
        read(der).map_err(|cause| unreadable(file, &cause))?;
    }
    Ok(found)
}

fn inspected(der: &CertificateDer<'_>) -> Result<Inspection, OwnFlaw> {
    read(der).map_err(|cause| unreadable(OwnFile::Certificate, &cause))
}

fn unreadable(file: OwnFile, cause: &impl ToString) -> OwnFlaw {
    let cause = cause.to_string();
    OwnFlaw::Unreadable { file, cause }
}
