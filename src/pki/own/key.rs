//! The private key of the user's own certificate, in the forms that openssl, mkcert and Windows write.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};

use super::{OwnFile, OwnFlaw, unreadable};
use crate::pki::judge::{pem_certificates, pem_text};

/// A private key, and the public key that belongs to it.
pub(super) struct Key {
    /// The private key alone: PKCS#1, PKCS#8 or SEC1, as it was.
    pub(super) pem: SecretString,
    /// The public key, as a certificate has it.
    pub(super) public: Vec<u8>,
}

/// Returns whether a text has a private key, encrypted or not.
pub(super) fn is_in(text: &str) -> bool {
    text.contains("PRIVATE KEY-----")
}

/// Reads the only private key of a text.
pub(super) fn read(text: &SecretString) -> Result<Key, OwnFlaw> {
    let text = text.expose_secret().trim_start_matches('\u{feff}');
    // The second is the form of `openssl rsa -aes256` before version 3: RFC 1421, section 4.6.1.1.
    let marks = [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----",
        "Proc-Type: 4,ENCRYPTED",
    ];
    if marks.iter().any(|mark| text.contains(mark)) {
        return Err(OwnFlaw::Encrypted);
    }
    let found: Result<Vec<_>, _> = PrivateKeyDer::pem_slice_iter(text.as_bytes()).collect();
    let found = found.map_err(|cause| unreadable(OwnFile::Key, &cause))?;
    let key = match found.as_slice() {
        [one] => one,
        [] if pem_certificates(text).is_ok_and(|found| !found.is_empty()) => {
            return Err(OwnFlaw::Swapped(OwnFile::Key));
        }
        [] => return Err(OwnFlaw::Empty(OwnFile::Key)),
        several => return Err(OwnFlaw::SeveralKeys(several.len())),
    };
    let pair = KeyPair::try_from(key).map_err(|cause| unreadable(OwnFile::Key, &cause))?;
    Ok(Key {
        pem: pem(key),
        public: pair.der_bytes().to_vec(),
    })
}

fn pem(key: &PrivateKeyDer<'_>) -> SecretString {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    pem_text(label, &STANDARD.encode(key.secret_der())).into()
}
