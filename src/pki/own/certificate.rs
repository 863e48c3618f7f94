//! One certificate, and what clients ask of it alone.

use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::{OwnFile, OwnFlaw, unreadable};
use crate::pki::inspect::read;
use crate::pki::{Names, on_one_line};

/// The smallest and the largest RSA key in bits. OpenSSL refuses smaller ones from its security level 2 on, which Debian
/// sets (<https://docs.openssl.org/3.0/man3/SSL_CTX_set_security_level/>), and Go larger ones
/// (<https://go.dev/doc/go1.21#cryptotlspkgcryptotls>).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A parsed certificate.
pub(super) struct Certificate<'a> {
    der: &'a CertificateDer<'a>,
    fields: X509Certificate<'a>,
}

impl<'a> Certificate<'a> {
    pub(super) fn parse(der: &'a CertificateDer<'a>) -> Result<Self, OwnFlaw> {
        let parsed = X509Certificate::from_der(der);
        let (_, fields) = parsed.map_err(|cause| unreadable(OwnFile::Certificate, &cause))?;
        Ok(Self { der, fields })
    }

    /// Returns how messages call it: its subject, or its serial number if that is empty.
    pub(super) fn name(&self) -> String {
        let subject = on_one_line(&self.fields.subject().to_string());
        if subject.is_empty() {
            format!("certificate {}", self.fields.raw_serial_as_string())
        } else {
            subject
        }
    }

    /// Returns the subject of its issuer.
    pub(super) fn issuer(&self) -> String {
        on_one_line(&self.fields.issuer().to_string())
    }

    /// Returns whether the issuer that it names is the subject of this one.
    pub(super) fn names_as_issuer(&self, other: &Self) -> bool {
        self.fields.issuer().as_raw() == other.fields.subject().as_raw()
    }

    /// Returns whether it names itself as its issuer, as roots do.
    pub(super) fn is_self_issued(&self) -> bool {
        self.names_as_issuer(self)
    }

    pub(super) fn is_authority(&self) -> bool {
        self.fields.is_ca()
    }

    /// Returns whether its public key is this one.
    pub(super) fn has_key(&self, public: &[u8]) -> bool {
        self.fields.public_key().subject_public_key.data == public
    }

    pub(super) fn not_after(&self) -> OffsetDateTime {
        self.fields.validity().not_after.to_datetime()
    }

    /// Checks its period, which includes both of its ends (RFC 5280, section 4.1.2.5).
    pub(super) fn is_in_time(&self, now: OffsetDateTime) -> Result<(), OwnFlaw> {
        let subject = self.name();
        let not_before = self.fields.validity().not_before.to_datetime();
        let not_after = self.not_after();
        if now < not_before {
            Err(OwnFlaw::NotYetValid {
                subject,
                not_before,
            })
        } else if now > not_after {
            Err(OwnFlaw::Expired { subject, not_after })
        } else {
            Ok(())
        }
    }

    /// Checks that clients accept its kind of key.
    pub(super) fn has_accepted_key(&self) -> Result<(), OwnFlaw> {
        let subject = self.name();
        let key = self.fields.public_key();
        let curve = || {
            Some(
                key.algorithm
                    .parameters
                    .as_ref()?
                    .as_oid()
                    .ok()?
                    .to_id_string(),
            )
        };
        let kind = match key.algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.1" => {
                let bits = match key.parsed() {
                    Ok(PublicKey::RSA(key)) => key.key_size(),
                    _ => 0,
                };
                return if RSA_BITS.contains(&bits) {
                    Ok(())
                } else {
                    Err(OwnFlaw::WrongKeySize { subject, bits })
                };
            }
            // ECDSA with P-256, P-384 and P-521.
            "1.2.840.10045.2.1" => match curve().as_deref() {
                Some("1.2.840.10045.3.1.7" | "1.3.132.0.34" | "1.3.132.0.35") => return Ok(()),
                Some(other) => format!("an ECDSA key on the curve {other}"),
                None => "an ECDSA key on a curve without a name".to_owned(),
            },
            // Ed25519
            "1.3.101.112" => return Ok(()),
            "1.2.840.10040.4.1" => "a DSA key".to_owned(),
            "1.2.840.113549.1.1.10" => "an RSA-PSS key".to_owned(),
            other => format!("a key of the kind {other}"),
        };
        Err(OwnFlaw::WrongKind { subject, kind })
    }

    /// Checks that its signature uses a hash that clients accept:
    /// <https://go.dev/doc/go1.18#sha1>.
    pub(super) fn has_accepted_signature(&self) -> Result<(), OwnFlaw> {
        let algorithm = &self.fields.signature_algorithm.algorithm;
        let hash = match algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.5"
            | "1.3.14.3.2.29"
            | "1.2.840.10045.4.1"
            | "1.2.840.10040.4.3" => "SHA-1",
            "1.2.840.113549.1.1.4" | "1.3.14.3.2.25" => "MD5",
            "1.2.840.113549.1.1.2" => "MD2",
            _ => return Ok(()),
        };
        let subject = self.name();
        Err(OwnFlaw::WeakSignature { subject, hash })
    }

    /// Checks that a server may present it as its own.
    pub(super) fn may_serve(&self) -> Result<(), OwnFlaw> {
        let subject = self.name();
        if self.is_authority() {
            let own = self.is_self_issued();
            return Err(OwnFlaw::Authority { subject, own });
        }
        let names = read(self.der).map(|one| one.names);
        if names.unwrap_or_default() == Names::default() {
            return Err(OwnFlaw::NoNames { subject });
        }
        for extension in self.fields.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::ExtendedKeyUsage(usage) if !(usage.server_auth || usage.any) => {
                    let lacks = "extended key usage serverAuth";
                    return Err(OwnFlaw::WrongUsage { subject, lacks });
                }
                // TLS 1.3 signs with it: RFC 8446, section 4.4.2.2.
                ParsedExtension::KeyUsage(usage) if !usage.digital_signature() => {
                    let lacks = "key usage digitalSignature";
                    return Err(OwnFlaw::WrongUsage { subject, lacks });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks that it may sign other certificates.
    pub(super) fn may_sign(&self) -> Result<(), OwnFlaw> {
        let subject = self.name();
        if !self.is_authority() {
            return Err(OwnFlaw::NotAuthority(OwnFile::Certificate, subject));
        }
        for extension in self.fields.extensions() {
            if let ParsedExtension::KeyUsage(usage) = extension.parsed_extension()
                && !usage.key_cert_sign()
            {
                let lacks = "key usage keyCertSign";
                return Err(OwnFlaw::WrongUsage { subject, lacks });
            }
        }
        Ok(())
    }
}
