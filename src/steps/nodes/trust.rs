//! Step: CA and hosts.toml of each registry in every node. They are sent through the archive API, because client and
//! engine need not share a file system.
//!
//! containerd reads both at each pull, so nothing is restarted.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;

use super::folders::remove_folders;
use super::foreign_settings;
use super::per_node::{PerNode, together};
use crate::archive::Archive;
use crate::observe::{Flaw, containerd_tree, expected_files, nodes, trust_flaws};
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, State, Step, StepId};
use crate::steps::proof::invalidate_proofs;

/// The step that writes the certs.d folders on all nodes.
#[derive(Debug)]
pub struct NodeTrust {
    /// The Spec that is wanted.
    pub spec: Spec,
}

impl NodeTrust {
    /// Returns the state of one node, and what differs there.
    async fn state(
        &self,
        ctx: &Ctx,
        node: &str,
        wanted: &BTreeMap<String, Bytes>,
    ) -> Result<(State, Vec<Flaw>)> {
        let tree = containerd_tree(&*ctx.docker, node).await?;
        let flaws = trust_flaws(&tree, &self.spec.registries, wanted);
        let is_ours = |flaw: &Flaw| matches!(flaw, Flaw::Differs(_));
        let has_none = wanted.keys().all(|path| tree.certs_file(path).is_none());
        let state = if flaws.is_empty() {
            State::Ready
        } else if has_none && flaws.iter().all(is_ours) {
            State::Missing
        } else {
            let differs: Vec<String> = flaws.iter().map(ToString::to_string).collect();
            State::Drifted(differs.join(", "))
        };
        Ok((state, flaws))
    }

    /// Returns the state of each node; `None` if a registry has no certificate yet.
    pub(crate) async fn per_node(&self, ctx: &Ctx) -> Result<Option<PerNode>> {
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?.into_iter();
        let Some(wanted) = &expected_files(&*ctx.docker, &self.spec).await? else {
            return Ok(None);
        };
        let states = found.map(|node| async move {
            let (state, _) = self.state(ctx, &node.name, wanted).await?;
            anyhow::Ok((node.name, state))
        });
        try_join_all(states).await.map(Some)
    }

    fn archive(&self, wanted: &BTreeMap<String, Bytes>) -> Result<Bytes> {
        let mut archive = Archive::new();
        for (path, content) in wanted {
            archive = archive.file(
                format!("etc/containerd/certs.d/{path}"),
                0o644,
                content.clone(),
            );
        }
        // A proof with other files is no longer valid.
        let archive = invalidate_proofs(archive, &self.spec);
        Ok(archive.into_bytes()?)
    }
}

#[async_trait]
impl Step for NodeTrust {
    fn id(&self) -> StepId {
        StepId::new("node.trust")
    }

    fn title(&self) -> String {
        "node trust".to_owned()
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let nodes = self.per_node(ctx).await?;
        Ok(nodes.map_or(State::Missing, together))
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let wanted = expected_files(&*ctx.docker, &self.spec)
            .await?
            .context("a registry has no certificate yet")?;
        let archive = self.archive(&wanted)?;
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?;
        let states = found.iter().map(|node| async {
            let (state, flaws) = self.state(ctx, &node.name, &wanted).await?;
            foreign_settings(&node.name, &flaws)?;
            anyhow::Ok((&node.name, state))
        });
        let states = try_join_all(states).await?.into_iter();
        let differing = states.filter(|(_, state)| *state != State::Ready);
        let uploads = differing.map(|(node, _)| ctx.docker.upload(node, "/", archive.clone()));
        try_join_all(uploads).await?;
        Ok(())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let folders: Vec<String> = self
            .spec
            .registries
            .iter()
            .flat_map(Registry::node_folders)
            .collect();
        remove_folders(ctx, &self.spec, &folders).await.map(drop)
    }
}
