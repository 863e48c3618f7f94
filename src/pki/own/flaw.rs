//! What is wrong with the user's own certificate, and what to do about it.

use time::OffsetDateTime;

use crate::shell;

/// A file of the user's own certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnFile {
    /// The certificate, with its intermediates.
    Certificate,
    /// Its private key.
    Key,
    /// The CA that clients get.
    Ca,
}

/// Why clients would refuse a certificate, or why it can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OwnFlaw {
    /// A file has nothing of its kind.
    #[error("contains no {}", content(*.0))]
    Empty(OwnFile),
    /// The certificate's file has a key alone, or the key's file a certificate alone.
    #[error("contains no {}, but a {}", content(*.0), content(other(*.0)))]
    Swapped(OwnFile),
    /// A file is not valid.
    #[error("invalid {}: {cause}", content(*file))]
    Unreadable {
        /// The file.
        file: OwnFile,
        /// The parser's error.
        cause: String,
    },
    /// The key is encrypted.
    #[error("the private key is encrypted; a registry can't ask for its passphrase")]
    Encrypted,
    /// The key's file has several keys.
    #[error("contains {0} private keys")]
    SeveralKeys(usize),
    /// The key belongs to none of the certificates.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// The file of the CA has a private key.
    #[error("contains a private key; every node would get this file")]
    KeyInCa,
    /// The file of the CA is too large.
    #[error("contains more than {kib} KiB of certificates")]
    TooLarge {
        /// The limit.
        kib: usize,
    },
    /// An RSA key that clients refuse.
    #[error("{subject} has an RSA key of {bits} bits; clients accept 2048 to 8192")]
    WrongKeySize {
        /// The certificate.
        subject: String,
        /// The key's size.
        bits: usize,
    },
    /// A kind of key that clients refuse.
    #[error("{subject} has {kind}; clients accept RSA, ECDSA (P-256, P-384, P-521) and Ed25519")]
    WrongKind {
        /// The certificate.
        subject: String,
        /// The kind, with its article.
        kind: String,
    },
    /// A hash that clients refuse.
    #[error("{subject} is signed with {hash}; clients refuse it")]
    WeakSignature {
        /// The certificate.
        subject: String,
        /// The hash.
        hash: &'static str,
    },
    /// The certificate of the server is a CA's.
    #[error("{subject} is the certificate of a CA, not of a server (basic constraints CA:TRUE)")]
    Authority {
        /// The certificate.
        subject: String,
        /// Whether it is its own issuer.
        own: bool,
    },
    /// Something that has to be a CA is none.
    #[error("{1} is not a CA (basic constraints CA:FALSE)")]
    NotAuthority(OwnFile, String),
    /// The certificate has no names that clients look at.
    #[error("{subject} has no subject alternative names; clients ignore the common name")]
    NoNames {
        /// The certificate.
        subject: String,
    },
    /// The certificate lacks names of the registry.
    #[error("the certificate does not cover {}", missing.join(" and "))]
    NamesMissing {
        /// The missing host names.
        missing: Vec<String>,
    },
    /// The certificate is for other purposes.
    #[error("{subject} lacks the {lacks}")]
    WrongUsage {
        /// The certificate.
        subject: String,
        /// What it lacks.
        lacks: &'static str,
    },
    /// A certificate is not valid yet.
    #[error("{subject} is not valid before {not_before}")]
    NotYetValid {
        /// The certificate.
        subject: String,
        /// The first moment at which it is valid.
        not_before: OffsetDateTime,
    },
    /// A certificate has expired.
    #[error("{subject} expired at {not_after}")]
    Expired {
        /// The certificate.
        subject: String,
        /// The moment at which it expired.
        not_after: OffsetDateTime,
    },
    /// No CA was given.
    #[error("contains no root, and `ca` is not set")]
    NoAuthority,
    /// A certificate between the server's and the CA is missing.
    #[error("incomplete chain: the issuer of {subject} is missing ({issuer})")]
    Incomplete {
        /// The last certificate of the chain.
        subject: String,
        /// Its issuer.
        issuer: String,
    },
    /// The chain ends with a root that clients do not get.
    #[error("the chain ends with {root}, which is not in `ca`")]
    OtherAuthority {
        /// The root.
        root: String,
    },
    /// A certificate names an issuer that did not sign it.
    #[error("{subject} was not signed by {issuer}, but by another CA of the same name")]
    OtherIssuer {
        /// The certificate.
        subject: String,
        /// The issuer.
        issuer: String,
    },
    /// A CA may not speak for the certificate's names.
    #[error(
        "the name constraints of {authority} do not permit a name of the certificate ({limits})"
    )]
    Constrained {
        /// The CA.
        authority: String,
        /// What it permits and excludes.
        limits: String,
    },
    /// Clients refuse the chain for another reason.
    #[error("clients refuse the chain: {cause}")]
    Refused {
        /// webpki's error.
        cause: String,
    },
}

/// The paths of the files, as the user wrote them.
#[derive(Debug, Clone, Copy)]
pub struct Paths<'a> {
    /// The certificate.
    pub certificate: &'a str,
    /// Its private key.
    pub key: &'a str,
    /// The CA.
    pub ca: Option<&'a str>,
}

impl Paths<'_> {
    /// Returns the path of a file; that of the certificate if there is no other.
    #[must_use]
    pub fn of(&self, file: OwnFile) -> &str {
        match file {
            OwnFile::Certificate => self.certificate,
            OwnFile::Key => self.key,
            OwnFile::Ca => self.ca.unwrap_or(self.certificate),
        }
    }
}

impl OwnFlaw {
    /// Returns the file to look at first.
    #[must_use]
    pub const fn file(&self) -> OwnFile {
        match self {
            Self::Empty(file)
            | Self::Swapped(file)
            | Self::Unreadable { file, .. }
            | Self::NotAuthority(file, _) => *file,
            Self::Encrypted | Self::SeveralKeys(_) | Self::KeyMismatch => OwnFile::Key,
            Self::KeyInCa | Self::TooLarge { .. } | Self::OtherAuthority { .. } => OwnFile::Ca,
            Self::WrongKeySize { .. }
            | Self::WrongKind { .. }
            | Self::WeakSignature { .. }
            | Self::Authority { .. }
            | Self::NoNames { .. }
            | Self::NamesMissing { .. }
            | Self::WrongUsage { .. }
            | Self::NotYetValid { .. }
            | Self::Expired { .. }
            | Self::NoAuthority
            | Self::Incomplete { .. }
            | Self::OtherIssuer { .. }
            | Self::Constrained { .. }
            | Self::Refused { .. } => OwnFile::Certificate,
        }
    }

    /// Returns what to do about it.
    #[must_use]
    pub fn advice(&self, paths: &Paths<'_>) -> String {
        let [certificate, key] =
            [OwnFile::Certificate, OwnFile::Key].map(|file| shell::word(paths.of(file)));
        match self {
            Self::Empty(_) | Self::Unreadable { .. } => "it must be in PEM".to_owned(),
            Self::Swapped(_) => "set `cert` to the certificate and `key` to its key".to_owned(),
            Self::Encrypted => format!("decrypt it: openssl pkey -in {key} -out decrypted.key"),
            Self::SeveralKeys(_) => "keep the key of the certificate alone".to_owned(),
            Self::KeyMismatch => format!(
                "compare: openssl x509 -in {certificate} -noout -pubkey; openssl pkey -in {key} -pubout"
            ),
            Self::KeyInCa | Self::TooLarge { .. } => {
                "keep the CA certificates that nodes should trust".to_owned()
            }
            Self::Authority { own: true, .. } => format!(
                "make one that is not a CA: openssl req -x509 -key {key} -out {certificate} -days 365 -subj /CN=registry -addext \
                 basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:HOST,DNS:localhost"
            ),
            Self::Authority { own: false, .. } => {
                "set `cert` to a certificate that this CA issued for the registry".to_owned()
            }
            Self::NotAuthority(OwnFile::Ca, _) | Self::NoAuthority => {
                "set `ca` to the CA certificates that nodes should trust".to_owned()
            }
            Self::Incomplete { .. } => match paths.ca {
                Some(ca) => format!(
                    "add its certificate to {certificate}, or to {} if it is a root",
                    shell::word(ca)
                ),
                None => format!("add its certificate to {certificate}"),
            },
            Self::OtherAuthority { .. } => "add it, or set `ca` to its file".to_owned(),
            Self::NoNames { .. } => {
                "issue it with -addext subjectAltName=DNS:HOST,DNS:localhost".to_owned()
            }
            Self::NotAuthority(OwnFile::Certificate | OwnFile::Key, _)
            | Self::WrongKeySize { .. }
            | Self::WrongKind { .. }
            | Self::WeakSignature { .. }
            | Self::NamesMissing { .. }
            | Self::WrongUsage { .. }
            | Self::OtherIssuer { .. }
            | Self::Constrained { .. }
            | Self::Refused { .. } => "use another certificate".to_owned(),
            Self::NotYetValid { .. } => "check the clock: date -u".to_owned(),
            Self::Expired { .. } => "use a new certificate".to_owned(),
        }
    }
}

const fn content(file: OwnFile) -> &'static str {
    match file {
        OwnFile::Certificate => "certificate",
        OwnFile::Key => "private key",
        OwnFile::Ca => "CA certificate",
    }
}

const fn other(file: OwnFile) -> OwnFile {
    match file {
        OwnFile::Certificate | OwnFile::Ca => OwnFile::Key,
        OwnFile::Key => OwnFile::Certificate,
    }
}
