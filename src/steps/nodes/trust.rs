//! Trust in every node: CA and hosts.toml for each registry, by archive, so that no file system is shared.
//!
//! containerd reads both at each pull; nothing is restarted.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;

use super::per_node::{PerNode, together};
use crate::archive::Archive;
use crate::docker::DockerError;
use crate::layout;
use crate::observe::{certs, expected_files, nodes, running_nodes};
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, Leaves, State, Step, StepId};
use crate::steps::proof::withdrawn;

/// The certs.d folders of all nodes.
#[derive(Debug)]
pub struct NodeTrust {
    /// What is asked.
    pub spec: Spec,
}

/// How one node is.
async fn state(ctx: &Ctx, node: &str, wanted: &BTreeMap<String, Bytes>) -> Result<State> {
    let found = certs(&*ctx.docker, node).await?;
    if wanted.keys().all(|path| !found.contains_key(path)) {
        return Ok(State::Missing);
    }
    let differs = wanted
        .iter()
        .filter(|(path, content)| found.get(*path) != Some(content));
    let differs: Vec<&str> = differs.map(|(path, _)| path.as_str()).collect();
    Ok(if differs.is_empty() {
        State::Ready
    } else {
        State::Drifted(differs.join(", "))
    })
}

impl NodeTrust {
    /// How each node is; `None` while a registry has no certificate.
    pub(crate) async fn per_node(&self, ctx: &Ctx) -> Result<Option<PerNode>> {
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?.into_iter();
        let Some(wanted) = &expected_files(&*ctx.docker, &self.spec).await? else {
            return Ok(None);
        };
        let states = found.map(|node| async move {
            let state = state(ctx, &node.name, wanted).await?;
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
        // What was proven with other files is proven no more.
        let archive = withdrawn(archive, &self.spec);
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
        try_join_all(found.iter().map(|node| async {
            if state(ctx, &node.name, &wanted).await? != State::Ready {
                ctx.docker.upload(&node.name, "/", archive.clone()).await?;
            }
            anyhow::Ok(())
        }))
        .await?;
        Ok(())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let folders: Vec<String> = self
            .spec
            .registries
            .iter()
            .flat_map(Registry::node_folders)
            .collect();
        remove(ctx, &self.spec, &folders).await
    }
}

/// Folders of certs.d that earlier settings needed and today's do not.
#[derive(Debug)]
pub struct RetiredFolders {
    /// What is asked.
    pub spec: Spec,
    /// The folders' names.
    pub folders: Vec<String>,
}

#[async_trait]
impl Step for RetiredFolders {
    fn id(&self) -> StepId {
        StepId::new("node.trust").retired()
    }

    fn title(&self) -> String {
        format!("old trust in nodes ({})", self.folders.join(", "))
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let all = nodes(&*ctx.docker, &self.spec.cluster).await?;
        let found = try_join_all(all.iter().map(|node| certs(&*ctx.docker, &node.name))).await?;
        for (node, found) in all.iter().zip(found) {
            let left = |folder: &String| {
                found
                    .keys()
                    .any(|path| path.split('/').next() == Some(folder))
            };
            if let Some(folder) = self.folders.iter().find(|folder| left(folder)) {
                return Ok(State::Drifted(format!("{folder} on {}", node.name)));
            }
        }
        Ok(State::Ready)
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        remove(ctx, &self.spec, &self.folders).await
    }
}

/// Folders with nothing in them: containerd then knows no more of a registry than its name.
pub(crate) async fn make_empty(ctx: &Ctx, spec: &Spec, folders: &[String]) -> Result<()> {
    let archive = folders.iter().fold(Archive::new(), |archive, folder| {
        archive.folder(format!("etc/containerd/certs.d/{folder}"), 0o755)
    });
    let archive = archive.into_bytes()?;
    let found = nodes(&*ctx.docker, &spec.cluster).await?;
    let uploads = found
        .iter()
        .map(|node| ctx.docker.upload(&node.name, "/", archive.clone()));
    try_join_all(uploads).await?;
    Ok(())
}

/// Removes folders of certs.d.
pub(crate) async fn remove(ctx: &Ctx, spec: &Spec, folders: &[String]) -> Result<()> {
    let paths: Vec<String> = folders
        .iter()
        .map(|folder| format!("{}/{folder}", layout::NODE_CERTS))
        .collect();
    let paths = paths.iter().map(String::as_str);
    let command: Vec<&str> = ["rm", "-rf"].into_iter().chain(paths).collect();
    let found = running_nodes(&*ctx.docker, &spec.cluster).await?;
    let removals = found.iter().map(|node| async {
        match ctx.docker.exec(&node.name, &command, &[]).await {
            Ok(_) | Err(DockerError::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    });
    try_join_all(removals).await?;
    Ok(())
}
