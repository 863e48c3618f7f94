//! Who runs a registry, and what is known of it in each case. Pure.

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
    /// Somebody else; only trust and credentials are ours.
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

    /// Returns the name of the back end, as `kindreg.toml` and `--json` have it.
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
    /// Which images it answers for.
    pub serves: Serves,
}

/// Which images a registry answers for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serves {
    /// Those that are pushed to it.
    Pushed {
        /// Who may use it.
        #[serde(default)]
        auth: Auth,
    },
    /// Those that are pushed to it; nodes ask it first for images of every registry that they have no settings for.
    ///
    /// It asks for no password: a node would send it the credentials of the registry that the image names
    /// (<https://github.com/containerd/containerd/issues/10540>).
    Everything,
    /// Those of another registry, which it caches. It takes no pushes, and asks for no password, as
    /// [`Self::Everything`].
    Cache(Cache),
}

/// The registry on the far side of a pull-through cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// Its name, as images have it.
    pub upstream: Upstream,
    /// Its CA; `None` where a public CA signed its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Authorities>,
    /// The names of the variables that hold user and password for it; never their values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Variables>,
}

/// The settings of a registry that somebody else runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// Where nodes find it; `None` where a name server tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Its CA; `None` where a public CA signed its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Authorities>,
    /// Where the user's credentials for it come from.
    #[serde(default)]
    pub login: ExternalLogin,
    /// The image that nodes pull for the proof; without one, its answer to a pull of a missing image is the proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofImageRef>,
}

/// Where the credentials for an external registry come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExternalLogin {
    /// It asks for none.
    Anonymous,
    /// The user's docker config with its helpers, or else a question on a terminal.
    #[default]
    Docker,
    /// Two environment variables.
    Variables(Variables),
}
