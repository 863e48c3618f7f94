//! Reads the fields of a certificate, without verifying it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

use super::{Names, PkiError};

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Signing other certificates: its basic constraints say CA.
    Authority,
    /// Anything but signing other certificates.
    EndEntity,
}

/// The names for which a CA may and may not issue certificates, such as `registry.test` and `127.0.0.1/32`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Permitted names. If there is one of a kind (host name, IPv4, IPv6), no other of that kind is allowed.
    pub permitted: Vec<String>,
    /// Excluded names, even if they are permitted. The empty name excludes all host names.
    pub excluded: Vec<String>,
}

/// The fields of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Its subject, such as `CN=kindreg demo registry`.
    pub subject: String,
    /// Its subject alternative names: hosts and addresses; other kinds are left out.
    pub names: Names,
    /// The first moment at which it is valid.
    pub not_before: OffsetDateTime,
    /// The last moment at which it is valid.
    pub not_after: OffsetDateTime,
    /// SHA-256 over its DER, in lower-case hex.
    pub fingerprint: String,
    /// SHA-256 over its public key (`SubjectPublicKeyInfo` in DER), in base64, as curl's `--pinnedpubkey` takes it:
    /// <https://curl.se/docs/manpage.html#--pinnedpubkey>.
    pub key_pin: String,
    /// Whether it may sign other certificates.
    pub role: Role,
    /// Its name constraints, if it has any.
    pub constraints: Option<Constraints>,
    /// The identifier of its key, in lower-case hex.
    pub key_id: Option<String>,
}

/// Reads the first certificate of a PEM text.
///
/// # Errors
/// The text has no valid certificate.
pub fn inspect(pem: &str) -> Result<Inspection, PkiError> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|cause| PkiError::NotCertificate(cause.to_string()))?;
    read(&der)
}

/// Reads the valid certificates of a PEM text.
#[must_use]
pub fn inspect_all(pem: &str) -> Vec<Inspection> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes()).flatten();
    found.filter_map(|der| read(&der).ok()).collect()
}

/// Reads a certificate from its DER.
pub(super) fn read(der: &CertificateDer<'_>) -> Result<Inspection, PkiError> {
    let (_, certificate) = X509Certificate::from_der(der)
        .map_err(|cause| PkiError::NotCertificate(cause.to_string()))?;
    let mut inspection = Inspection {
        subject: certificate.subject().to_string(),
        names: Names::default(),
        not_before: certificate.validity().not_before.to_datetime(),
        not_after: certificate.validity().not_after.to_datetime(),
        fingerprint: hex::encode(Sha256::digest(der)),
        key_pin: BASE64.encode(Sha256::digest(certificate.public_key().raw)),
        role: Role::EndEntity,
        constraints: None,
        key_id: None,
    };
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(san) => {
                inspection.names = alternative_names(&san.general_names);
            }
            ParsedExtension::BasicConstraints(basic) if basic.ca => {
                inspection.role = Role::Authority;
            }
            ParsedExtension::NameConstraints(constraints) => {
                let texts =
                    |subtrees: &Option<Vec<x509_parser::extensions::GeneralSubtree<'_>>>| {
                        let subtrees = subtrees.iter().flatten();
                        subtrees
                            .map(|subtree| subtree_text(&subtree.base))
                            .collect()
                    };
                inspection.constraints = Some(Constraints {
                    permitted: texts(&constraints.permitted_subtrees),
                    excluded: texts(&constraints.excluded_subtrees),
                });
            }
            ParsedExtension::SubjectKeyIdentifier(id) => {
                inspection.key_id = Some(hex::encode(id.0));
            }
            _ => {}
        }
    }
    Ok(inspection)
}

fn alternative_names(general: &[GeneralName<'_>]) -> Names {
    let dns = general.iter().filter_map(|name| match name {
        GeneralName::DNSName(dns) => Some(*dns),
        _ => None,
    });
    let ips = general.iter().filter_map(|name| match name {
        GeneralName::IPAddress(octets) => address(octets),
        _ => None,
    });
    Names::new(dns, ips)
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into());
    let v6 = <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into());
    v4.or(v6).ok()
}

/// Returns a name of name constraints as text. An address there has its mask after it: 8 or 32 octets in all (RFC 5280,
/// section 4.2.1.10).
fn subtree_text(base: &GeneralName<'_>) -> String {
    match base {
        GeneralName::DNSName(dns) => (*dns).to_owned(),
        GeneralName::IPAddress(octets) => {
            let (ip, mask) = octets.split_at(octets.len() / 2);
            let bits: u32 = mask.iter().map(|octet| octet.count_ones()).sum();
            address(ip).map_or_else(|| base.to_string(), |ip| format!("{ip}/{bits}"))
        }
        other => other.to_string(),
    }
}
