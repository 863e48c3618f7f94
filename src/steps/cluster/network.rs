//! The cluster's own network. Its label says whose the cluster is, as kind can't label its nodes.

use std::collections::BTreeMap;

use anyhow::Result;
use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::docker::{DockerError, NetworkSpec};
use crate::layout::Layout;
use crate::observe::foreign;
use crate::problem::Problem;
use crate::spec::ClusterName;
use crate::step::{Ctx, State, Step, StepId};
use crate::symptoms::catalogue::engine::{NO_ADDRESS_RANGE, POOL_OVERLAPS};
use crate::symptoms::{Meaning, shows};

/// The network that nodes and registries share.
#[derive(Debug)]
pub struct Network {
    /// Whose it is.
    pub cluster: ClusterName,
}

impl Network {
    fn layout(&self) -> Layout {
        Layout::of(&self.cluster)
    }

    /// The options kind gives its own network:
    /// <https://github.com/kubernetes-sigs/kind/blob/main/pkg/cluster/internal/providers/docker/network.go>.
    fn spec(&self, ipv6_subnet: Option<String>) -> NetworkSpec {
        let masquerade = "com.docker.network.bridge.enable_ip_masquerade";
        NetworkSpec {
            name: self.layout().network(),
            labels: self.layout().labels(),
            options: BTreeMap::from([(masquerade.to_owned(), "true".to_owned())]),
            ipv6_subnet,
        }
    }
}

#[async_trait]
impl Step for Network {
    fn id(&self) -> StepId {
        StepId::new("cluster.network")
    }

    fn title(&self) -> String {
        format!("network {}", self.layout().network())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let name = self.layout().network();
        Ok(match ctx.docker.network(&name).await? {
            None => State::Missing,
            Some(network) if self.layout().owns(&network.labels) => State::Ready,
            Some(_) => {
                return Err(foreign(
                    "network",
                    &name,
                    &format!("docker network rm {name}"),
                ));
            }
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let with_ipv6 = self.spec(Some(unique_local_subnet(&self.layout().network())));
        // As kind does: without IPv6 where the engine's host has none.
        let made = match ctx.docker.create_network(&with_ipv6).await {
            Err(DockerError::Other { cause, .. }) if lacks_ipv6(&cause) => {
                ctx.docker.create_network(&self.spec(None)).await
            }
            other => other,
        };
        made.map_err(|error| match &error {
            DockerError::Other { cause, .. } if shows(cause, Meaning::NoAddressRange) => {
                anyhow::Error::from(error)
                    .context(Problem::new(NO_ADDRESS_RANGE.cause, NO_ADDRESS_RANGE.fix))
            }
            _ => error.into(),
        })
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        Ok(ctx.docker.remove_network(&self.layout().network()).await?)
    }
}

/// Whether it may work without IPv6: the engine's host has none, or the IPv6 subnet belongs to another network.
fn lacks_ipv6(cause: &str) -> bool {
    shows(cause, Meaning::NoIpv6) || POOL_OVERLAPS.is_in(cause)
}

/// A unique local subnet (RFC 4193) that follows from the name, so that two clusters do not share one.
fn unique_local_subnet(name: &str) -> String {
    let hash = Sha256::digest(name);
    format!(
        "fd{:02x}:{:02x}{:02x}:{:02x}{:02x}::/64",
        hash[0], hash[1], hash[2], hash[3], hash[4]
    )
}
