//! Step: marked lines in `/etc/hosts` of every node, for registries that DNS does not know.
//!
//! Docker rewrites that file at each start of the node, so a systemd drop-in adds the lines again before containerd
//! starts.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;

use super::per_node::{PerNode, together};
use super::unless_removed;
use crate::archive::Archive;
use crate::docker::Container;
use crate::layout;
use crate::observe::{file, folder, nodes, running_nodes};
use crate::render;
use crate::spec::Spec;
use crate::step::{Ctx, State, Step, StepId};

/// The name of the script that adds our lines to a node's `/etc/hosts`.
pub const KEEP_HOSTS: &str = "kindreg-keep-hosts";
/// The name of the script that removes the lines and the drop-in.
pub const FORGET_HOSTS: &str = "kindreg-forget-hosts";

/// The script ignores a failed reload: in a node that has just started, systemd may not answer yet, and reads the
/// drop-in anyway.
const KEEP_SCRIPT: &str =
    "set -eu; sh /var/lib/kindreg/hosts.sh; systemctl daemon-reload 2>/dev/null || true";
const FORGET_SCRIPT: &str = "set -eu; sh /var/lib/kindreg/hosts.sh; cd /var/lib/kindreg; rm -f hosts hosts.sh
cd /etc/systemd/system; rm -f containerd.service.d/kindreg-hosts.conf; rmdir containerd.service.d 2>/dev/null || true
systemctl daemon-reload 2>/dev/null || true";

/// The step that writes the lines on all nodes.
#[derive(Debug)]
pub struct NodeHosts {
    /// The Spec that is wanted.
    pub spec: Spec,
}

/// Returns what a node has, by path: our lines in `/etc/hosts`, and three files of ours. Missing and empty ones are
/// left out.
async fn present(ctx: &Ctx, node: &str) -> Result<BTreeMap<String, Bytes>> {
    let drop_in = format!("/{}", layout::NODE_HOSTS_DROP_IN);
    let (hosts, kept, setting) = tokio::try_join!(
        file(&*ctx.docker, node, "/etc/hosts"),
        // The whole folder, because proofs read the same one in the same round.
        folder(&*ctx.docker, node, layout::NODE_STATE),
        file(&*ctx.docker, node, &drop_in),
    )?;
    let hosts = render::our_hosts(&String::from_utf8_lossy(&hosts.unwrap_or_default()));
    let mut kept = kept.unwrap_or_default();
    let mut found = BTreeMap::from([
        ("/etc/hosts".to_owned(), hosts.into()),
        (drop_in, setting.unwrap_or_default()),
    ]);
    for name in [layout::NODE_HOSTS, layout::NODE_HOSTS_SCRIPT] {
        let content = kept.remove(name).unwrap_or_default();
        found.insert(format!("{}/{name}", layout::NODE_STATE), content);
    }
    found.retain(|_, content| !content.is_empty());
    Ok(found)
}

impl NodeHosts {
    /// Returns the files to send, by path relative to the node's root.
    fn files(lines: &str) -> Result<BTreeMap<String, Bytes>> {
        let (script, drop_in) = render::node_hosts_keeper()?;
        let state = |name| format!("var/lib/kindreg/{name}");
        Ok(BTreeMap::from([
            (state(layout::NODE_HOSTS), lines.to_owned().into()),
            (state(layout::NODE_HOSTS_SCRIPT), script.into()),
            (layout::NODE_HOSTS_DROP_IN.to_owned(), drop_in.into()),
        ]))
    }

    /// Returns the state of each node.
    pub(crate) async fn per_node(&self, ctx: &Ctx) -> Result<PerNode> {
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?.into_iter();
        let states = found.map(|node| async move {
            let state = self.state(ctx, &node.name).await?;
            anyhow::Ok((node.name, state))
        });
        try_join_all(states).await
    }

    async fn state(&self, ctx: &Ctx, node: &str) -> Result<State> {
        let lines = render::node_hosts(&self.spec);
        let mut wanted = BTreeMap::from([("/etc/hosts".to_owned(), lines.clone().into())]);
        let files = Self::files(&lines)?.into_iter();
        wanted.extend(files.map(|(path, content)| (format!("/{path}"), content)));
        let found = present(ctx, node).await?;
        if found.is_empty() {
            return Ok(State::Missing);
        }
        let differs = wanted
            .iter()
            .find(|(path, content)| found.get(*path) != Some(*content));
        Ok(differs.map_or(State::Ready, |(path, _)| State::Drifted(path.clone())))
    }
}

/// Sends the files to a node, and runs a script there that uses them.
async fn send(ctx: &Ctx, node: &str, lines: &str, script: &str, name: &str) -> Result<()> {
    let files = NodeHosts::files(lines)?.into_iter();
    let archive = files.fold(Archive::new(), |archive, (path, content)| {
        archive.file(path, 0o644, content)
    });
    ctx.docker.upload(node, "/", archive.into_bytes()?).await?;
    let output = ctx
        .docker
        .exec(node, &["sh", "-c", script, name], &[])
        .await?;
    if output.code != 0 {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("can't write /etc/hosts on node {node}: {}", said.trim());
    }
    Ok(())
}

#[async_trait]
impl Step for NodeHosts {
    fn id(&self) -> StepId {
        StepId::new("node.hosts")
    }

    fn title(&self) -> String {
        "node /etc/hosts entries".to_owned()
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        Ok(together(self.per_node(ctx).await?))
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let lines = &render::node_hosts(&self.spec);
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?;
        try_join_all(found.iter().map(|Container { name, .. }| async move {
            if self.state(ctx, name).await? != State::Ready {
                send(ctx, name, lines, KEEP_SCRIPT, KEEP_HOSTS).await?;
            }
            anyhow::Ok(())
        }))
        .await?;
        Ok(())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let found = running_nodes(&*ctx.docker, &self.spec.cluster).await?;
        try_join_all(found.iter().map(|Container { name, .. }| async move {
            if present(ctx, name).await?.is_empty() {
                return Ok(());
            }
            unless_removed(send(ctx, name, "", FORGET_SCRIPT, FORGET_HOSTS).await)
        }))
        .await?;
        Ok(())
    }
}
