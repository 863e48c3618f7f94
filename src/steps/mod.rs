//! One file a step. A step looks and acts through the ports, and prints nothing.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;

use crate::archive::{self, Archive};
use crate::docker::{Container, ContainerState, Docker};
use crate::layout::{self, Layout};
use crate::pki::Identity;
use crate::problem::Problem;
use crate::registry::distribution;
use crate::spec::{ClusterName, Registry, Spec};
use crate::step::Ctx;

mod certificate;
mod cluster;
mod config_path;
mod credentials;
mod external_proof;
mod host_trust;
mod hosting;
mod image;
mod kubeconfig;
mod kubelet;
mod network;
mod node_credentials;
mod node_hosts;
mod node_trust;
mod nodes;
mod nodes_ready;
mod one_shot;
mod per_node;
mod proof;
mod proof_image;
mod proof_pods;
mod record;
mod registry;
mod retired;
mod service;
mod upstream_credentials;
mod upstream_trust;
mod users;
mod verdict;
mod volumes;

pub use certificate::Certificate;
pub use cluster::Cluster;
pub use config_path::{ConfigPath, RECONFIGURE};
pub use credentials::{Credentials, stored};
pub use external_proof::ExternalProof;
pub use host_trust::{HostTrust, INSTALL, REMOVE};
pub use hosting::Hosting;
pub use image::Image;
pub use kubeconfig::OriginalKubeconfig;
pub use kubelet::{HAND_OVER, REVOKE};
pub use network::Network;
pub(crate) use node_credentials::domains as password_domains;
pub use node_credentials::{Held, Passwords, credentials_of, lacking, passwords};
pub use node_credentials::{NodeCredentials, RetiredCredentials};
pub use node_hosts::{FORGET_HOSTS, KEEP_HOSTS, NodeHosts};
pub use node_trust::{NodeTrust, RetiredFolders};
pub use nodes::Nodes;
pub use nodes_ready::NodesReady;
pub(crate) use per_node::{PerNode, difference};
pub use proof::Proof;
pub(crate) use proof::proven_nodes;
pub use proof_image::{ProofImage, REMOVE_PROOF};
pub use record::{Asked, Record, Settled, asked};
pub use registry::RegistryContainer;
pub use retired::Retired;
pub use service::{PortTaken, Service};
pub use upstream_credentials::UpstreamCredentials;
pub use upstream_trust::UpstreamTrust;
pub use users::{RENAME, replace_users};
pub use verdict::{Verdict, Verdicts};
pub use volumes::{Volumes, registries};

/// A thing has our name and not our label.
fn foreign(kind: &str, name: &str, remove: &str) -> anyhow::Error {
    Problem::foreign(
        format!("there is a {kind} {name} that kindreg did not make"),
        format!("choose another cluster with --name, or remove it yourself: {remove}"),
    )
    .into()
}

/// A container of ours by its name: absent, or surely ours.
async fn our_container(
    docker: &dyn Docker,
    layout: &Layout,
    name: &str,
) -> Result<Option<Container>> {
    match docker.container(name).await? {
        Some(container) if !layout.owns(&container.labels) => {
            Err(foreign("container", name, &format!("docker rm -f {name}")))
        }
        found => Ok(found),
    }
}

/// The nodes of the cluster, in kind's own order; none while there is no cluster.
pub(crate) async fn nodes(docker: &dyn Docker, spec: &Spec) -> Result<Vec<Container>> {
    let mut found = docker
        .containers(layout::KIND_LABEL_CLUSTER, spec.cluster.as_str())
        .await?;
    found.retain(|node| {
        // The load balancer of several control planes is no node.
        node.labels
            .get(layout::KIND_LABEL_ROLE)
            .is_none_or(|role| role != "external-load-balancer")
    });
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The nodes that run: another one pulls nothing, and goes with the cluster.
async fn running(ctx: &Ctx, spec: &Spec) -> Result<Vec<Container>> {
    let mut found = nodes(&*ctx.docker, spec).await?;
    found.retain(|node| node.state == ContainerState::Running);
    Ok(found)
}

/// The CA that clients of a registry are to trust; `None` while it has none, or where a public one vouches for it.
pub(crate) async fn ca(ctx: &Ctx, spec: &Spec, registry: &Registry) -> Result<Option<String>> {
    if let Some(external) = registry.external() {
        return Ok(external.ca.as_ref().map(|ca| ca.pem().to_owned()));
    }
    let identity = identity(ctx, spec, registry).await?;
    Ok(identity.map(|identity| identity.ca_pem))
}

/// Names of the nodes that are asked for, and then of those that somebody joined.
pub(crate) fn node_names(spec: &Spec, found: &[Container]) -> Vec<String> {
    let mut names = layout::nodes(spec);
    for node in found {
        if !names.contains(&node.name) {
            names.push(node.name.clone());
        }
    }
    names
}

/// The files of a registry's secret volume that are not empty; `None` while it has no container.
async fn secret(
    ctx: &Ctx,
    cluster: &ClusterName,
    registry: &Registry,
) -> Result<Option<BTreeMap<String, Bytes>>> {
    let container = Layout::of(cluster).registry(&registry.name);
    let Some(tar) = ctx.docker.download(&container, layout::SECRET).await? else {
        return Ok(None);
    };
    let mut files = below(&tar, "secret")?;
    files.retain(|_, content| !content.is_empty());
    Ok(Some(files))
}

/// Puts files into a registry's secret volume.
async fn put_secret(
    ctx: &Ctx,
    cluster: &ClusterName,
    registry: &Registry,
    files: Archive,
) -> Result<()> {
    let container = Layout::of(cluster).registry(&registry.name);
    let files = files.into_bytes()?;
    Ok(ctx.docker.upload(&container, layout::SECRET, files).await?)
}

/// Puts emptied files into a registry's secret volume, if it has a container: an archive can't delete.
async fn take_secret_back(
    ctx: &Ctx,
    cluster: &ClusterName,
    registry: &Registry,
    empty: Archive,
) -> Result<()> {
    let container = Layout::of(cluster).registry(&registry.name);
    match ctx.docker.container(&container).await? {
        Some(_) => put_secret(ctx, cluster, registry, empty).await,
        None => Ok(()),
    }
}

/// What the registry shows the world, as its secret volume holds it; `None` while there is nothing whole.
pub(crate) async fn identity(
    ctx: &Ctx,
    spec: &Spec,
    registry: &Registry,
) -> Result<Option<Identity>> {
    let files = secret(ctx, &spec.cluster, registry)
        .await?
        .unwrap_or_default();
    let text = |name: &str| String::from_utf8(files.get(name)?.to_vec()).ok();
    let (Some(ca_pem), Some(leaf_pem), Some(key_pem)) = (
        text(distribution::CA),
        text(distribution::LEAF),
        text(distribution::KEY),
    ) else {
        return Ok(None);
    };
    let key_pem = key_pem.into();
    Ok(Some(Identity {
        ca_pem,
        leaf_pem,
        key_pem,
    }))
}

/// containerd's files in a node, its configuration and its registries, by their path below its folder.
async fn containerd_files(ctx: &Ctx, node: &str) -> Result<BTreeMap<String, Bytes>> {
    match ctx.docker.download(node, layout::NODE_CONTAINERD).await? {
        Some(tar) => below(&tar, "containerd"),
        None => Ok(BTreeMap::new()),
    }
}

/// The regular files of an archive of one folder, by their path below it.
fn below(tar: &[u8], folder: &str) -> Result<BTreeMap<String, Bytes>> {
    let prefix = format!("{folder}/");
    Ok(archive::files(tar)?
        .into_iter()
        .filter_map(|(path, file)| {
            path.strip_prefix(&prefix)
                .map(|path| (path.to_owned(), file.content))
        })
        .collect())
}
