//! Certificates that somebody else made.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::PkiError;

/// The certificates of a PEM text, and nothing else of it: comments and other objects are left out.
///
/// # Errors
/// There is none, one can't be read, or a private key is among them, which nobody is to hand round.
pub fn certificates(pem: &str) -> Result<String, PkiError> {
    if pem.contains("PRIVATE KEY-----") {
        return Err(PkiError::NotCertificate("it holds a private key".into()));
    }
    let wrong = |cause: String| PkiError::NotCertificate(cause);
    let mut text = String::new();
    for der in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let der = der.map_err(|cause| wrong(cause.to_string()))?;
        X509Certificate::from_der(&der).map_err(|cause| wrong(cause.to_string()))?;
        text.push_str(&to_pem(&der));
    }
    if text.is_empty() {
        return Err(wrong("no certificate in it".into()));
    }
    Ok(text)
}

/// Base64 in lines of 64 characters (RFC 7468, section 3).
fn to_pem(der: &[u8]) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for (at, character) in STANDARD.encode(der).chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text + "\n-----END CERTIFICATE-----\n"
}
