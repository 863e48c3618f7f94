//! Creates, reads and judges the certificates of a registry.
//!
//! Pure: callers pass in PEM and the time. Nothing here reads a file, the clock or the network, and no other module
//! uses rcgen, webpki or x509-parser.
//!
//! Each registry gets its own certificate authority (CA), which is limited to that registry's names. It signs one
//! certificate (the leaf) and never another one, as its key is then destroyed. Or the user has a certificate, which
//! [`validate`] checks.

use std::net::IpAddr;

use time::Duration;

mod inspect;
mod issue;
mod judge;
mod own;

#[cfg(any(test, feature = "fakes"))]
pub use inspect::Role;
pub use inspect::{Inspection, inspect, inspect_all};
pub use issue::{Identity, is_generated, issue};
#[cfg(any(test, feature = "fakes"))]
pub use judge::Part;
pub use judge::{Flaw, authorities, certificates_alone, fingerprint, judge};
pub use own::{OwnFile, OwnFlaw, Paths, Validated, covers, revalidate, validate};

/// Returns a text of a certificate on one line: a stranger's must not look like further lines of a message.
pub(crate) fn on_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// How long before its expiry a certificate is renewed.
pub const RENEW_BEFORE: Duration = Duration::days(60);

/// How long CA and leaf are valid, backdating included. Apple's systems refuse a TLS server certificate that is valid
/// for more than 825 days: <https://support.apple.com/en-us/103769>.
pub const LIFETIME: Duration = Duration::days(820);

/// How far a new certificate is backdated, for machines whose clock is behind (a virtual machine after sleep).
pub const BACKDATED: Duration = Duration::hours(1);

/// The host names and addresses of a registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Host names, in lower case, without port; the canonical one first.
    pub dns: Vec<String>,
    /// Addresses.
    pub ips: Vec<IpAddr>,
}

impl Names {
    /// Returns names in lower case, without duplicates, in the given order.
    pub fn new<S: AsRef<str>>(
        dns: impl IntoIterator<Item = S>,
        ips: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        let mut names = Self::default();
        for name in dns {
            let name = name.as_ref().to_ascii_lowercase();
            if !names.dns.contains(&name) {
                names.dns.push(name);
            }
        }
        for ip in ips {
            if !names.ips.contains(&ip) {
                names.ips.push(ip);
            }
        }
        names
    }
}

/// Why a certificate can't be created or read.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// There are no names.
    #[error("a certificate needs at least one name or address")]
    NoNames,
    /// Not a host name that a certificate and its name constraints can contain.
    #[error("invalid host name {0:?} for a certificate")]
    BadName(String),
    /// The time is outside the range of certificates.
    #[error("can't create a certificate for this time: it is out of range")]
    BadTime,
    /// It could not be created.
    #[error("can't create the certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// It could not be read.
    #[error("invalid certificate: {0}")]
    NotCertificate(String),
}
