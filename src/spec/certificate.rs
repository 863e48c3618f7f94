//! Where the certificate of a registry comes from. Pure: nothing is read or issued here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Host, Invalid, invalid};
use crate::pki::{self, Flaw, Identity, Names, OwnFlaw};

/// Returns the names that the user's own certificate has to cover: every node connects to `host`, whatever name an image
/// has.
pub(crate) fn required_names(host: &Host) -> Names {
    Names::new([host.as_str()], [])
}

/// The source of a registry's certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateSource {
    /// A CA that kindreg generates for this registry: it is limited to the registry's names and signs once.
    #[default]
    Generated,
    /// The user's own certificate, key and CA. They are in the registry's secret volume.
    Own(OwnCertificate),
}

/// Identifies the user's own certificate and CA. The record has this, and neither the certificates nor the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnCertificate {
    /// The certificate with its intermediates, as the registry presents them.
    pub certificate: Fingerprint,
    /// The CA that nodes and the engine's host trust.
    pub ca: Fingerprint,
    /// Whether it covers `localhost`.
    pub loopback: Loopback,
}

/// Whether a certificate covers `localhost`, where docker on the engine's host pushes to. The CA of a company may not
/// sign that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loopback {
    /// It does.
    Covered,
    /// It does not, so docker can't verify it there.
    Lacking,
}

impl OwnCertificate {
    /// Returns the fingerprints of an identity.
    ///
    /// # Errors
    /// It has no valid certificates.
    pub(crate) fn of(identity: &Identity) -> Result<Self, Flaw> {
        Ok(Self {
            certificate: Fingerprint(pki::fingerprint(&identity.leaf_pem)?),
            ca: Fingerprint(pki::fingerprint(&identity.ca_pem)?),
            loopback: match pki::covers(identity, &Names::new(["localhost"], [])) {
                Ok(()) => Loopback::Covered,
                Err(_) => Loopback::Lacking,
            },
        })
    }
}

/// SHA-256 over certificates in DER. For one certificate it is what `openssl x509 -fingerprint -sha256` prints, in
/// lower case and without colons.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = Invalid;
    fn from_str(value: &str) -> Result<Self, Invalid> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(value, &mut bytes).map_err(|_| {
            let why = "must be 64 hexadecimal digits (SHA-256)";
            invalid("fingerprint", value, why)
        })?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = Invalid;
    fn try_from(value: String) -> Result<Self, Invalid> {
        value.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// Where the certificate of a registry is to come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CertificateRequest {
    /// kindreg generates it.
    #[default]
    Generated,
    /// The user's own, in files.
    Files(UserCertificate),
    /// The user's own, which the registry has already.
    Recorded(OwnCertificate),
}

impl CertificateRequest {
    pub(super) const fn resolve(&self) -> CertificateSource {
        match self {
            Self::Generated => CertificateSource::Generated,
            Self::Files(certificate) => CertificateSource::Own(certificate.fingerprints()),
            Self::Recorded(own) => CertificateSource::Own(*own),
        }
    }
}

impl From<CertificateSource> for CertificateRequest {
    fn from(recorded: CertificateSource) -> Self {
        match recorded {
            CertificateSource::Generated => Self::Generated,
            CertificateSource::Own(own) => Self::Recorded(own),
        }
    }
}

/// The user's own certificate with its key and CA, which clients accept. Two with the same certificates are equal, as the
/// key belongs to the certificate.
#[derive(Debug, Clone)]
pub struct UserCertificate {
    identity: Arc<Identity>,
    fingerprints: OwnCertificate,
}

impl UserCertificate {
    /// Reads the text of a certificate, its key and its CA. Without a CA, a root beside the certificate counts.
    ///
    /// # Errors
    /// The first flaw for which a client would refuse it at `now`.
    pub(crate) fn read(
        certificate: &str,
        key: &SecretString,
        ca: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Self, OwnFlaw> {
        let validated = pki::validate(certificate, key, ca, now)?;
        let fingerprints =
            OwnCertificate::of(&validated.identity).map_err(|flaw| OwnFlaw::Refused {
                cause: flaw.to_string(),
            })?;
        Ok(Self {
            identity: Arc::new(validated.identity),
            fingerprints,
        })
    }

    /// Returns its fingerprints.
    #[must_use]
    pub const fn fingerprints(&self) -> OwnCertificate {
        self.fingerprints
    }

    /// Returns its CAs in words, each with its fingerprint.
    #[must_use]
    pub fn authorities(&self) -> String {
        let found = pki::inspect_all(&self.identity.ca_pem);
        let texts = found.iter().map(|one| {
            let subject = pki::on_one_line(&one.subject);
            format!("{subject}, SHA-256 {}", one.fingerprint)
        });
        texts.collect::<Vec<_>>().join("; ")
    }

    /// Returns the certificates and the key.
    pub(crate) const fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }
}

impl PartialEq for UserCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprints == other.fingerprints
    }
}

impl Eq for UserCertificate {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_64_hexadecimal_digits() {
        let text = "0123456789abcdef".repeat(4);
        let json = format!("\"{text}\"");
        let read: Fingerprint = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        for bad in [
            "",
            "00",
            &text[1..],
            &format!("{text}0"),
            &text.replace('0', "x"),
        ] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_source_that_earlier_records_have_is_still_read() {
        let read = |text| serde_json::from_str::<CertificateSource>(text);
        assert_eq!(read("\"generated\"").unwrap(), CertificateSource::Generated);
        assert!(read("{\"own\": {\"certificate\": \"/etc/shadow\", \"ca\": \"\"}}").is_err());
    }
}
