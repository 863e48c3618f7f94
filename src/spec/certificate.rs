//! Where the certificate of a registry comes from. Pure: nothing is read or issued here.

use serde::{Deserialize, Serialize};

/// The source of a registry's certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateSource {
    /// A CA that kindreg generates for this registry: it is limited to the registry's names and signs once.
    #[default]
    Generated,
}
