//! Step: the cluster's own network. Its label marks the cluster as ours, because kind can't label nodes.

use std::collections::BTreeMap;

use anyhow::Result;
use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::docker::{DockerError, NetworkSpec};
use crate::layout::Layout;
use crate::observe::foreign;
use crate::problem::Problem;
use crate::spec::{ClusterName, IpFamily};
use crate::step::{Ctx, State, Step, StepId};
use crate::symptoms::catalogue::engine::{NETWORK_IN_USE, NO_ADDRESS_RANGE, POOL_OVERLAPS};
use crate::symptoms::{Meaning, shows};

/// The step that creates the network of nodes and registries.
#[derive(Debug)]
pub struct Network {
    /// The cluster of the network.
    pub cluster: ClusterName,
    /// Whether the network must have IPv6. Otherwise it has it only if the engine can give it.
    pub ip_family: IpFamily,
}

impl Network {
    fn layout(&self) -> Layout {
        Layout::of(&self.cluster)
    }

    /// Returns the settings of the network, with the options that kind gives its own:
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
            Some(network) if self.layout().owns(&name, &network.labels) => State::Ready,
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
        // As kind does: without IPv6 if the engine's host has none.
        let made = match (ctx.docker.create_network(&with_ipv6).await, self.ip_family) {
            (Err(DockerError::Other { cause, .. }), IpFamily::Ipv4) if lacks_ipv6(&cause) => {
                ctx.docker.create_network(&self.spec(None)).await
            }
            (Err(DockerError::Other { doing, cause }), IpFamily::Ipv6) if lacks_ipv6(&cause) => {
                let error = anyhow::Error::from(DockerError::Other { doing, cause });
                return Err(error.context(Problem::new(
                    format!(
                        "can't create network {} with IPv6, which the kind configuration asks for (networking.ipFamily)",
                        self.layout().network()
                    ),
                    "use ipFamily: ipv4, or an engine with IPv6: https://docs.docker.com/engine/daemon/ipv6/",
                )));
            }
            (other, _) => other,
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
        let (name, cluster) = (self.layout().network(), &self.cluster);
        let removed = ctx.docker.remove_network(&name).await;
        removed.map_err(|error| match &error {
            DockerError::Other { cause, .. } if NETWORK_IN_USE.is_in(cause) => {
                // kindreg in a container joins the network only if the user makes it do so.
                let hint = format!(
                    "see which container it is: docker network inspect {name}; then run: docker network disconnect -f \
                     {name} CONTAINER && kindreg down --name {cluster}"
                );
                let what = format!("a container that is not kindreg's is still on network {name}");
                anyhow::Error::from(error).context(Problem::new(what, hint))
            }
            _ => error.into(),
        })
    }
}

/// Returns whether the cause is IPv6: the engine's host has none, or another network uses the subnet.
fn lacks_ipv6(cause: &str) -> bool {
    shows(cause, Meaning::NoIpv6) || POOL_OVERLAPS.is_in(cause)
}

/// Returns a unique local IPv6 subnet (RFC 4193) derived from the name, so that clusters have different ones.
fn unique_local_subnet(name: &str) -> String {
    let hash = Sha256::digest(name);
    format!(
        "fd{:02x}:{:02x}{:02x}:{:02x}{:02x}::/64",
        hash[0], hash[1], hash[2], hash[3], hash[4]
    )
}
