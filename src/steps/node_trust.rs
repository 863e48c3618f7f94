//! Trust in every node: CA and hosts.toml for each registry, by archive, so that no file system is shared.
//!
//! containerd reads both at each pull; nothing is restarted.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;

use super::proof::note;
use super::{below, ca, nodes, running, together};
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

impl NodeTrust {
    /// What differs in one node; `None` where nothing does.
    async fn difference(
        &self,
        ctx: &Ctx,
        node: &str,
        wanted: &BTreeMap<String, Bytes>,
    ) -> Result<Option<State>> {
        let found = match ctx.docker.download(node, layout::NODE_CERTS).await? {
            Some(tar) => below(&tar, "certs.d")?,
            None => BTreeMap::new(),
        };
        let missing = wanted
            .keys()
            .filter(|path| !found.contains_key(*path))
            .count();
        if missing == wanted.len() {
            return Ok(Some(State::Missing));
        }
        let drift = wanted
            .iter()
            .find(|(path, content)| found.get(*path) != Some(content));
        Ok(drift.map(|(path, _)| State::Drifted(format!("{path} on {node}"))))
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
        for registry in &self.spec.registries {
            archive = archive.file(format!("var/lib/kindreg/{}", note(registry)), 0o644, "");
        }
        Ok(archive.into_bytes()?)
    }
}

#[async_trait]
impl Step for NodeTrust {
    fn title(&self) -> String {
        "trust in every node".to_owned()
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let found = nodes(&*ctx.docker, &self.spec).await?;
        let Some(wanted) = wanted(ctx, &self.spec).await? else {
            return Ok(State::Missing);
        };
        let checks = found
            .iter()
            .map(|node| self.difference(ctx, &node.name, &wanted));
        let states = try_join_all(checks).await?;
        let states = states
            .into_iter()
            .map(|state| state.unwrap_or(State::Ready));
        Ok(together(states.zip(&found)))
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let wanted = wanted(ctx, &self.spec)
            .await?
            .context("a registry has no certificate yet")?;
        let archive = self.archive(&wanted)?;
        let found = nodes(&*ctx.docker, &self.spec).await?;
        try_join_all(found.iter().map(|node| async {
            if self.difference(ctx, &node.name, &wanted).await?.is_some() {
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
        for node in nodes(&*ctx.docker, &self.spec).await? {
            let Some(tar) = ctx.docker.download(&node.name, layout::NODE_CERTS).await? else {
                continue;
            };
            let found = below(&tar, "certs.d")?;
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
    for node in running(ctx, spec).await? {
        match ctx.docker.exec(&node.name, &command, &[]).await {
            Ok(_) | Err(DockerError::Gone { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
