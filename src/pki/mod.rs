//! Certificates of a registry: made, read and judged.
//!
//! Pure: PEM and the time in, PEM out. Nothing here reads a file, a clock or the network, and nothing but this module
//! knows rcgen, webpki or x509-parser.
//!
//! Each registry gets a certificate authority (CA) of its own, which may speak for that registry's names only, signs
//! one certificate (the leaf), and is then unable to sign another, as its key is gone.

use std::net::IpAddr;

use time::Duration;

mod inspect;
mod issue;
mod judge;

#[cfg(any(test, feature = "fakes"))]
pub use inspect::Role;
pub use inspect::{Inspection, inspect};
pub use issue::{Identity, issue};
#[cfg(any(test, feature = "fakes"))]
pub use judge::Part;
pub use judge::{Flaw, authorities, certificates_alone, judge};

/// How long before it ends a certificate is renewed.
pub const RENEW_BEFORE: Duration = Duration::days(60);

/// How long CA and leaf live, backdating included. Apple's systems refuse a TLS server certificate that lives longer
/// than 825 days, whoever signed it: <https://support.apple.com/en-us/103769>.
pub const LIFETIME: Duration = Duration::days(820);

/// How long ago a new certificate began, for machines whose clock is behind (a virtual machine after sleep).
pub const BACKDATED: Duration = Duration::hours(1);

/// What a registry answers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Host names, in lower case, without port; the canonical one first.
    pub dns: Vec<String>,
    /// Addresses.
    pub ips: Vec<IpAddr>,
}

impl Names {
    /// Names in lower case and each once, in the order given.
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

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// There is nothing to make a certificate for.
    #[error("a certificate needs at least one name or address")]
    NoNames,
    /// Not a host name that a certificate can carry and constrain.
    #[error("{0:?} is not a host name for a certificate")]
    BadName(String),
    /// The time is outside what a certificate can say.
    #[error("no certificate can begin or end at that time")]
    BadTime,
    /// It could not be made.
    #[error("could not make the certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// It could not be read.
    #[error("not a certificate in PEM: {0}")]
    NotCertificate(String),
}
