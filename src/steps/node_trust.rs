//! Trust in every node: CA and hosts.toml for each registry, by archive, so that no file system is shared.
//!
//! containerd reads both at each pull; nothing is restarted.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;

use super::per_node::{PerNode, together};
use super::proof::withdrawn;
use super::{ca, containerd_files, nodes, running};
use crate::archive::Archive;
use crate::docker::DockerError;
use crate::layout;
use crate::render;
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, Leaves, State, Step};

/// The certs.d folders of all nodes.
#[derive(Debug)]
pub struct NodeTrust {
    /// What is asked.
    pub spec: Spec,
}

/// Every file that containerd is to find, by its path below certs.d; `None` while a registry has no certificate.
async fn wanted(ctx: &Ctx, spec: &Spec) -> Result<Option<BTreeMap<String, Bytes>>> {
    let mut all = BTreeMap::new();
    for registry in &spec.registries {
        let Some(files) = wanted_for(ctx, spec, registry).await? else {
            return Ok(None);
        };
        all.extend(files);
    }
    Ok(Some(all))
}

/// The files of one registry.
pub(super) async fn wanted_for(
    ctx: &Ctx,
    spec: &Spec,
    registry: &Registry,
) -> Result<Option<BTreeMap<String, Bytes>>> {
    let ca_pem = ca(ctx, spec, registry).await?;
    if ca_pem.is_none() && registry.has_ca() {
        return Ok(None);
    }
    let ca_pem = ca_pem.unwrap_or_default();
    Ok(Some(render::node_files(registry, &ca_pem)?))
}

/// certs.d of a node: its files by their path below it.
async fn certs(ctx: &Ctx, node: &str) -> Result<BTreeMap<String, Bytes>> {
    let all = containerd_files(ctx, node).await?.into_iter();
    let ours = all
        .filter_map(|(path, content)| Some((path.strip_prefix("certs.d/")?.to_owned(), content)));
    Ok(ours.collect())
}

/// How one node is.
async fn state(ctx: &Ctx, node: &str, wanted: &BTreeMap<String, Bytes>) -> Result<State> {
    let found = certs(ctx, node).await?;
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
        let found = nodes(&*ctx.docker, &self.spec).await?.into_iter();
        let Some(wanted) = &wanted(ctx, &self.spec).await? else {
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
    fn title(&self) -> String {
        "trust in every node".to_owned()
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let nodes = self.per_node(ctx).await?;
        Ok(nodes.map_or(State::Missing, together))
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let wanted = wanted(ctx, &self.spec)
            .await?
            .context("a registry has no certificate yet")?;
        let archive = self.archive(&wanted)?;
        let found = nodes(&*ctx.docker, &self.spec).await?;
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
    fn title(&self) -> String {
        format!("removal from every node: {}", self.folders.join(", "))
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let all = nodes(&*ctx.docker, &self.spec).await?;
        let found = try_join_all(all.iter().map(|node| certs(ctx, &node.name))).await?;
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

    async fn undo(&self, _: &Ctx) -> Result<()> {
        Ok(())
    }
}

/// Folders with nothing in them: containerd then knows no more of a registry than its name.
pub(super) async fn make_empty(ctx: &Ctx, spec: &Spec, folders: &[String]) -> Result<()> {
    let archive = folders.iter().fold(Archive::new(), |archive, folder| {
        archive.folder(format!("etc/containerd/certs.d/{folder}"), 0o755)
    });
    let archive = archive.into_bytes()?;
    let found = nodes(&*ctx.docker, spec).await?;
    let uploads = found
        .iter()
        .map(|node| ctx.docker.upload(&node.name, "/", archive.clone()));
    try_join_all(uploads).await?;
    Ok(())
}

/// Removes folders of certs.d.
pub(super) async fn remove(ctx: &Ctx, spec: &Spec, folders: &[String]) -> Result<()> {
    let paths: Vec<String> = folders
        .iter()
        .map(|folder| format!("{}/{folder}", layout::NODE_CERTS))
        .collect();
    let paths = paths.iter().map(String::as_str);
    let command: Vec<&str> = ["rm", "-rf"].into_iter().chain(paths).collect();
    let found = running(ctx, spec).await?;
    let removals = found.iter().map(|node| async {
        match ctx.docker.exec(&node.name, &command, &[]).await {
            Ok(_) | Err(DockerError::Gone { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    });
    try_join_all(removals).await?;
    Ok(())
}
