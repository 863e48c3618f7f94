//! Step: a registry's CA in certs.d on the engine's host. It needs no sudo: who may use the engine may write the `/etc`
//! of its host.
//!
//! Reads use the archive API of the record container. Writes use a one-shot container, because the archive API can
//! neither delete a file nor replace it atomically. Docker reads certs.d at each operation, so nothing is restarted.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use async_trait::async_trait;

use super::one_shot::Script;
use crate::docker::{Mount, MountSource, NetworkMode};
use crate::layout::{self, Layout};
use crate::observe::{self, ca, clusters, on_host, our_container, stored};
use crate::spec::{ClusterName, Registry, Spec};
use crate::step::{Ctx, State, Step, StepId};
use crate::steps::cluster::{save, save_original};

/// The name of the script that installs a file. Its arguments are the folder and the file name.
pub const INSTALL: &str = "kindreg-install";
/// The name of the script that removes a file and then the folders that are empty. Its arguments are the file and the
/// folders, innermost first.
pub const REMOVE: &str = "kindreg-remove";

/// The script writes a temporary file and renames it, so that readers see either the old or the new file.
const INSTALL_SCRIPT: &str = r#"set -eu; umask 022; mkdir -p "$1"; cp /kindreg/file "$1/.$2.new"; chmod 644 "$1/.$2.new"; mv -f "$1/.$2.new" "$1/$2""#;
const REMOVE_SCRIPT: &str =
    r#"set -eu; rm -f "$1"; shift; for folder; do rmdir "$folder" 2>/dev/null || true; done"#;

/// The step that installs one registry's CA in the engine host's certs.d.
#[derive(Debug)]
pub struct HostTrust {
    /// The Spec that is wanted.
    pub spec: Spec,
    /// The registry.
    pub registry: Registry,
}

/// The file in the record with the host folders that kindreg created, for all registries.
const NOTE: &str = "host-folders.json";

impl HostTrust {
    fn layout(&self) -> Layout {
        Layout::of(&self.spec.cluster)
    }

    /// Returns the registry's folder in certs.d, as containers see it.
    async fn folder(&self, ctx: &Ctx) -> Result<String> {
        let path = format!("{}/{}", layout::HOST_CERTS, self.registry.domain());
        on_host(&*ctx.docker, &self.spec.cluster, &path).await
    }

    /// Returns those of a folder and its parents that do not exist yet.
    async fn absent(&self, ctx: &Ctx, folder: &str) -> Result<BTreeSet<String>> {
        let mut absent = BTreeSet::new();
        let mut folder = folder.to_owned();
        while folder != layout::HOST_ETC && !self.exists(ctx, &folder).await? {
            let parent = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
            let parent = parent.to_owned();
            absent.insert(std::mem::replace(&mut folder, parent));
        }
        Ok(absent)
    }

    async fn exists(&self, ctx: &Ctx, path: &str) -> Result<bool> {
        let found = ctx.docker.stat(&self.layout().record(), path).await?;
        Ok(found.is_some())
    }

    /// Returns the parent folders that other clusters' records note. The last cluster to be removed removes them.
    async fn shared(&self, ctx: &Ctx, folder: &str) -> Result<BTreeSet<String>> {
        let mut shared = BTreeSet::new();
        let certs = on_host(&*ctx.docker, &self.spec.cluster, layout::HOST_CERTS).await?;
        for cluster in clusters(&*ctx.docker).await? {
            // A record that this version can't read must not stop other clusters.
            if let Ok(Some(record)) = stored(&*ctx.docker, &cluster).await
                && let Some(text) = record.originals.get(NOTE)
            {
                shared.extend(folders(text.as_bytes(), &certs)?);
            }
        }
        shared.retain(|made| folder.starts_with(made.as_str()));
        Ok(shared)
    }

    /// Runs a script in a one-shot container that mounts the host's `/etc`.
    async fn run(
        &self,
        ctx: &Ctx,
        script: &str,
        arguments: &[&str],
        file: Option<String>,
    ) -> Result<()> {
        let name = format!("{}-{}", self.layout().host_writer(), self.registry.name);
        let script = Script {
            doing: "writing to /etc of the engine's host",
            container: name,
            mount: Some(Mount {
                source: MountSource::Host("/etc".to_owned()),
                target: layout::HOST_ETC.to_owned(),
            }),
            network: NetworkMode::None,
            text: script,
            arguments,
            file,
        };
        script.run(ctx, &self.spec).await
    }
}

#[async_trait]
impl Step for HostTrust {
    fn id(&self) -> StepId {
        StepId::of("host.trust", self.registry.domain())
    }

    fn title(&self) -> String {
        format!(
            "host trust (/etc/{}/{})",
            layout::HOST_CERTS,
            self.registry.domain()
        )
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let record = self.layout().record();
        let file = self.layout().host_ca();
        let folder = self.folder(ctx).await?;
        let path = format!("{folder}/{file}");
        let found = observe::file(&*ctx.docker, &record, &path).await?;
        let Some(found) = found else {
            let made = noted_folders(ctx, &self.spec.cluster)
                .await?
                .contains(&folder);
            return Ok(if made && self.exists(ctx, &folder).await? {
                State::Drifted(format!("{file} is missing"))
            } else {
                State::Missing
            });
        };
        Ok(
            match ca(&*ctx.docker, &self.spec.cluster, &self.registry).await? {
                Some(ca_pem) if ca_pem.as_bytes() == found => State::Ready,
                _ => State::Drifted(format!("{file} has another CA")),
            },
        )
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let ca_pem = ca(&*ctx.docker, &self.spec.cluster, &self.registry)
            .await?
            .context("the registry has no certificate yet")?;
        // Noted before they are created, so that `down` removes them even if this run is killed.
        let mut folders = noted_folders(ctx, &self.spec.cluster).await?;
        let (folder, file) = (self.folder(ctx).await?, self.layout().host_ca());
        folders.extend(self.absent(ctx, &folder).await?);
        folders.extend(self.shared(ctx, &folder).await?);
        let text = serde_json::to_string(&folders)?;
        let cluster = &self.spec.cluster;
        save(ctx, cluster, |record| {
            record.originals.insert(NOTE.to_owned(), text);
        })
        .await?;
        self.run(
            ctx,
            INSTALL_SCRIPT,
            &[INSTALL, &folder, &file],
            Some(ca_pem),
        )
        .await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        if our_container(&*ctx.docker, &self.layout(), &self.layout().record())
            .await?
            .is_none()
        {
            return Ok(());
        }
        let folder = self.folder(ctx).await?;
        let file = format!("{folder}/{}", self.layout().host_ca());
        let mut made = noted_folders(ctx, &self.spec.cluster).await?;
        // Innermost first: a folder sorts before its content.
        let folders: Vec<String> = made.iter().rev().cloned().collect();
        if self.exists(ctx, &file).await? || made.contains(&folder) {
            let mut arguments = vec![REMOVE, file.as_str()];
            arguments.extend(folders.iter().map(String::as_str));
            self.run(ctx, REMOVE_SCRIPT, &arguments, None).await?;
        }
        for folder in folders {
            if !self.exists(ctx, &folder).await? {
                made.remove(&folder);
            }
        }
        let text = serde_json::to_string(&made)?;
        save_original(ctx, &self.spec.cluster, NOTE, text).await
    }
}

/// Returns the host folders that a cluster's record notes.
pub(super) async fn noted_folders(ctx: &Ctx, cluster: &ClusterName) -> Result<BTreeSet<String>> {
    let record = Layout::of(cluster).record();
    let originals = observe::folder(&*ctx.docker, &record, layout::ORIGINALS).await?;
    let Some(text) = originals.unwrap_or_default().remove(NOTE) else {
        return Ok(BTreeSet::new());
    };
    let certs = on_host(&*ctx.docker, cluster, layout::HOST_CERTS).await?;
    folders(&text, &certs)
}

/// Reads a note. Others may have written it: it is only believed about certs.d, the folders in it, and those above it in
/// `/etc`. `certs` is where certs.d leads now; the note may be older than a link there.
fn folders(note: &[u8], certs: &str) -> Result<BTreeSet<String>> {
    let noted: BTreeSet<String> =
        serde_json::from_slice(note).context("can't read the record's list of host folders")?;
    let written = format!("{}/{}", layout::HOST_ETC, layout::HOST_CERTS);
    let believed = |folder: &String| is_of(folder, certs) || is_of(folder, &written);
    Ok(noted.into_iter().filter(believed).collect())
}

/// Returns whether a folder is certs.d, directly in it, or above it in `/etc`.
fn is_of(folder: &str, certs: &str) -> bool {
    match folder.strip_prefix(certs) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('/').is_some_and(|name| {
            !name.is_empty() && !name.contains('/') && name != "." && name != ".."
        }),
        None => {
            let below_etc = folder.strip_prefix(layout::HOST_ETC);
            let above = certs.strip_prefix(folder);
            below_etc.is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
                && above.is_some_and(|rest| rest.starts_with('/'))
        }
    }
}
