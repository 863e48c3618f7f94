//! The cluster whose nodes pull from the registries. Pure.

use serde::{Deserialize, Serialize};

use super::{CniPlugin, ControlPlanes, ImageRef, IpFamily, KindConfig, Workers};

/// The cluster, and how kindreg got it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A kind cluster that kindreg creates and deletes.
    Owned(OwnedCluster),
}

/// The settings of a kind cluster that kindreg creates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnedCluster {
    /// Number of control-plane nodes.
    pub control_planes: ControlPlanes,
    /// Number of worker nodes.
    pub workers: Workers,
    /// Image of the nodes.
    pub node_image: ImageRef,
    /// The user's own kind configuration (YAML, v1alpha4), which kindreg's is merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind_config: Option<KindConfig>,
}

impl OwnedCluster {
    /// Returns who installs the CNI plug-in.
    #[must_use]
    pub fn cni_plugin(&self) -> CniPlugin {
        let theirs = self.kind_config.as_ref();
        theirs.map_or(CniPlugin::Kinds, KindConfig::cni_plugin)
    }

    /// Returns whether nodes and services have IPv6 addresses.
    #[must_use]
    pub fn ip_family(&self) -> IpFamily {
        let theirs = self.kind_config.as_ref();
        theirs.map_or(IpFamily::Ipv4, KindConfig::ip_family)
    }
}

impl Target {
    /// Returns the image of the nodes. It has a shell and curl, so one-shot containers are made from it too.
    #[must_use]
    pub const fn node_image(&self) -> &ImageRef {
        match self {
            Self::Owned(owned) => &owned.node_image,
        }
    }
}
