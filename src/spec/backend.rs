//! Who runs a registry, and its settings in each case. Pure.

use serde::{Deserialize, Serialize};

use super::{
    Address, Auth, Authorities, CertificateSource, Data, ImageRef, ProofImageRef, Upstream,
    Variables,
};

/// Who runs a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// kindreg: the CNCF registry, in a container.
    Distribution(Distribution),
    /// Somebody else; kindreg sets up trust and credentials only.
    External(External),
}

impl Backend {
    /// Returns what happens to its images on `down`; somebody else's stay.
    #[must_use]
    pub const fn data(&self) -> Data {
        match self {
            Self::Distribution(distribution) => distribution.data,
            Self::External(_) => Data::Keep,
        }
    }

    /// Returns the name of the back end, as `kindreg.toml` and `--json` write it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Distribution(_) => "distribution",
            Self::External(_) => "external",
        }
    }
}

/// The settings of a CNCF registry (`registry:3`, `registry:2`) that kindreg runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// Image of the registry itself.
    pub image: ImageRef,
    /// What happens to its images on `down`.
    #[serde(default)]
    pub data: Data,
    /// Where its certificate comes from.
    #[serde(default)]
    pub certificate: CertificateSource,
    /// The images that it serves.
    pub serves: Serves,
}

/// The images that a registry serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serves {
    /// Images that are pushed to it.
    Pushed {
        /// Who may use it.
        #[serde(default)]
        auth: Auth,
    },
    /// Images that are pushed to it. Nodes also ask it first for images of every registry that they have no settings
    /// for.
    ///
    /// It can't ask for a password: a node would send it the credentials of the registry that the image names
    /// (<https://github.com/containerd/containerd/issues/10540>).
    Everything,
    /// Images of another registry, which it caches. It accepts no pushes, and can't ask for a password either.
    Cache(Cache),
}

/// The upstream registry of a pull-through cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// Its name, as image references write it.
    pub upstream: Upstream,
    /// Its CA; `None` if a public CA signed its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Authorities>,
    /// The names of the variables that hold its user name and password; never their values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Variables>,
}

/// The settings of a registry that somebody else runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// Its IP address; `None` if nodes can resolve its host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Its CA; `None` if a public CA signed its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Authorities>,
    /// Where the user's credentials for it come from.
    #[serde(default)]
    pub login: ExternalLogin,
    /// The image that nodes pull to prove trust. Without one, they ask for an image that does not exist, and the
    /// registry's answer is the proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofImageRef>,
}

/// Where the credentials for an external registry come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExternalLogin {
    /// It needs none.
    Anonymous,
    /// The user's docker config and its credential helpers, or else a prompt.
    #[default]
    Docker,
    /// Two environment variables.
    Variables(Variables),
}
