//! Judges whether a registry's certificates and key are valid, and if not, what is wrong.
//!
//! webpki, the verifier that rustls uses, verifies chains: signatures, name constraints, usage, path length.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::inspect::read;
use super::{Inspection, Names};

/// A part of a registry's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The certificate that nodes and hosts trust.
    Ca,
    /// The certificate that the registry presents.
    Leaf,
    /// The leaf's private key.
    Key,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ca => "CA certificate",
            Self::Leaf => "registry's certificate",
            Self::Key => "registry's key",
        })
    }
}

/// What is wrong with an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A part is not valid PEM, or not a certificate or key.
    #[error("can't read the {part}: {cause}")]
    Unreadable {
        /// The part.
        part: Part,
        /// The parser's error.
        cause: String,
    },
    /// The CA certificate may not sign other certificates.
    #[error("the CA certificate is not a CA: its basic constraints do not allow it to sign")]
    NotAnAuthority,
    /// Clients that trust the CA don't accept the leaf.
    #[error("the registry's certificate does not chain to the CA: {cause}")]
    DoesNotChain {
        /// webpki's error: `UnknownIssuer`, `NameConstraintViolation`, …
        cause: String,
    },
    /// A certificate is not valid yet.
    #[error("the {part} is not valid before {not_before}")]
    NotYetValid {
        /// The part.
        part: Part,
        /// The first moment at which it is valid.
        not_before: OffsetDateTime,
    },
    /// A certificate has expired.
    #[error("the {part} expired at {not_after}")]
    Expired {
        /// The part.
        part: Part,
        /// The moment at which it expired.
        not_after: OffsetDateTime,
    },
    /// A certificate expires so soon that it has to be renewed now.
    #[error("the {part} expires within {days} days")]
    ExpiresSoon {
        /// The part.
        part: Part,
        /// Days until then, rounded up.
        days: i64,
    },
    /// The certificate lacks names of the registry.
    #[error("the registry's certificate lacks {}", missing.join(", "))]
    NamesMissing {
        /// The missing host names and addresses.
        missing: Vec<String>,
    },
    /// The key does not belong to the certificate.
    #[error("the registry's key does not belong to its certificate")]
    KeyMismatch,
}

/// Checks that a client that trusts `ca_pem` accepts `leaf_pem` for all of `names` at `now` and for at least
/// `renew_before` after that; with a key, also that it belongs to the leaf.
///
/// `ca_pem` may contain several CAs (old and new, while a CA is renewed): one of them must have signed the leaf.
/// `leaf_pem` may contain intermediate certificates after the leaf.
///
/// # Errors
/// The first flaw found; the one that explains most comes first.
pub fn judge(
    ca_pem: &str,
    leaf_pem: &str,
    key_pem: Option<&SecretString>,
    names: &Names,
    now: OffsetDateTime,
    renew_before: Duration,
) -> Result<(), Flaw> {
    let authorities = certificates(Part::Ca, ca_pem)?;
    let chain = certificates(Part::Leaf, leaf_pem)?;
    let (leaf_der, intermediates) = chain.split_first().ok_or_else(|| none(Part::Leaf))?;
    let leaf = parsed(Part::Leaf, leaf_der)?;

    in_time(Part::Leaf, &leaf, now, renew_before)?;
    let ca_der = signer(leaf_der, intermediates, &authorities, now)?;
    let ca = parsed(Part::Ca, ca_der)?;
    if !ca.is_ca() {
        return Err(Flaw::NotAnAuthority);
    }
    in_time(Part::Ca, &ca, now, renew_before)?;
    carries(leaf_der, names)?;
    key_pem.map_or(Ok(()), |key_pem| belongs(key_pem, &leaf))
}

/// Reads the CA certificates of a PEM text.
///
/// # Errors
/// The text has no certificate, or one that is not a CA's.
pub fn authorities(pem: &str) -> Result<Vec<Inspection>, Flaw> {
    let found = certificates(Part::Ca, pem)?;
    let read = |der: &CertificateDer<'_>| {
        if parsed(Part::Ca, der)?.is_ca() {
            read(der).map_err(|cause| unreadable(Part::Ca, &cause))
        } else {
            Err(Flaw::NotAnAuthority)
        }
    };
    found.iter().map(read).collect()
}

/// Returns the certificates of a PEM text without any text around them.
///
/// # Errors
/// The text has no valid certificate.
pub fn certificates_alone(pem: &str) -> Result<String, Flaw> {
    certificates(Part::Ca, pem).map(|found| pem_of(&found))
}

/// Returns SHA-256 over the certificates of a PEM text in DER, one after the other. For one certificate it is what
/// `openssl x509 -fingerprint -sha256` prints.
///
/// # Errors
/// The text has no valid certificate.
pub fn fingerprint(pem: &str) -> Result<[u8; 32], Flaw> {
    let mut hash = Sha256::new();
    for der in certificates(Part::Ca, pem)? {
        hash.update(der);
    }
    Ok(hash.finalize().into())
}

/// Returns certificates as PEM.
pub(super) fn pem_of(certificates: &[CertificateDer<'_>]) -> String {
    let texts = certificates.iter();
    texts
        .map(|der| pem_text("CERTIFICATE", &STANDARD.encode(der)))
        .collect()
}

/// Returns base64 as PEM with a label, in lines of 64 characters (RFC 7468, section 2).
pub(super) fn pem_text(label: &str, base64: &str) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    for part in ["-----END ", label, "-----\n"] {
        text.push_str(part);
    }
    text
}

/// Returns the certificates of a PEM text, which may be none.
pub(super) fn pem_certificates(
    pem: &str,
) -> Result<Vec<CertificateDer<'static>>, rustls_pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect()
}

fn unreadable(part: Part, cause: &impl ToString) -> Flaw {
    let cause = cause.to_string();
    Flaw::Unreadable { part, cause }
}

fn none(part: Part) -> Flaw {
    unreadable(part, &"contains no certificate")
}

fn certificates(part: Part, pem: &str) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let found = pem_certificates(pem).map_err(|cause| unreadable(part, &cause))?;
    if found.is_empty() {
        return Err(none(part));
    }
    for der in &found {
        parsed(part, der)?;
    }
    Ok(found)
}

fn parsed<'a>(part: Part, der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Flaw> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|cause| unreadable(part, &cause))
}

/// Checks the validity period, which includes both of its ends (RFC 5280, section 4.1.2.5).
fn in_time(
    part: Part,
    certificate: &X509Certificate<'_>,
    now: OffsetDateTime,
    renew_before: Duration,
) -> Result<(), Flaw> {
    let not_before = certificate.validity().not_before.to_datetime();
    let not_after = certificate.validity().not_after.to_datetime();
    let left = not_after - now;
    if now < not_before {
        Err(Flaw::NotYetValid { part, not_before })
    } else if left.is_negative() {
        Err(Flaw::Expired { part, not_after })
    } else if left < renew_before {
        let days = left.whole_days() + 1;
        Err(Flaw::ExpiresSoon { part, days })
    } else {
        Ok(())
    }
}

/// Returns the CA that the leaf chains to.
fn signer<'a>(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    authorities: &'a [CertificateDer<'_>],
    now: OffsetDateTime,
) -> Result<&'a CertificateDer<'a>, Flaw> {
    let since_epoch = now - OffsetDateTime::UNIX_EPOCH;
    let at = UnixTime::since_unix_epoch(since_epoch.try_into().unwrap_or_default());
    let chains_to = |authority: &CertificateDer<'_>| {
        let anchor = anchor_from_trusted_cert(authority)?;
        EndEntityCert::try_from(leaf)?
            .verify_for_usage(
                ALL_VERIFICATION_ALGS,
                &[anchor],
                intermediates,
                at,
                KeyUsage::server_auth(),
                None,
                None,
            )
            .map(|_| ())
    };
    let mut cause = webpki::Error::UnknownIssuer;
    for authority in authorities {
        match chains_to(authority) {
            Ok(()) => return Ok(authority),
            // With several CAs, an unknown issuer is the least useful cause to report.
            Err(webpki::Error::UnknownIssuer) => {}
            Err(other) => cause = other,
        }
    }
    let cause = cause.to_string();
    Err(Flaw::DoesNotChain { cause })
}

/// Checks that the certificate has all names.
fn carries(leaf: &CertificateDer<'_>, names: &Names) -> Result<(), Flaw> {
    let missing = lacking(leaf, names).map_err(|cause| unreadable(Part::Leaf, &cause))?;
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Flaw::NamesMissing { missing })
    }
}

/// Returns the names that the certificate lacks, compared as a client does, wildcards included.
pub(super) fn lacking(
    leaf: &CertificateDer<'_>,
    names: &Names,
) -> Result<Vec<String>, webpki::Error> {
    let certificate = EndEntityCert::try_from(leaf)?;
    let lacks = |name: &String| {
        !ServerName::try_from(name.as_str())
            .is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
    };
    let addresses = names.ips.iter().map(ToString::to_string);
    let wanted = names.dns.iter().cloned().chain(addresses);
    Ok(wanted.filter(lacks).collect())
}

fn belongs(key_pem: &SecretString, leaf: &X509Certificate<'_>) -> Result<(), Flaw> {
    // rustls-pki-types reads it, as rcgen's reader fails on files of `openssl ecparam -genkey` (parameters first).
    let key = PrivateKeyDer::from_pem_slice(key_pem.expose_secret().as_bytes())
        .map_err(|cause| unreadable(Part::Key, &cause))?;
    let key = KeyPair::try_from(&key).map_err(|cause| unreadable(Part::Key, &cause))?;
    if leaf.public_key().subject_public_key.data == key.der_bytes() {
        Ok(())
    } else {
        Err(Flaw::KeyMismatch)
    }
}
