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
use crate::observe::{self, ca, clusters, our_container, stored};
use crate::spec::{Registry, Spec};
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
    fn folder(&self) -> String {
        format!(
            "{}/{}/{}",
            layout::HOST_ETC,
            layout::HOST_CERTS,
            self.registry.domain()
        )
    }

    /// Returns the parent folders and the folder itself that do not exist yet.
    async fn absent(&self, ctx: &Ctx) -> Result<BTreeSet<String>> {
        let mut absent = BTreeSet::new();
        let mut folder = self.folder();
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
    async fn shared(&self, ctx: &Ctx) -> Result<BTreeSet<String>> {
        let mut shared = BTreeSet::new();
        for cluster in clusters(&*ctx.docker).await? {
            // A record that this version can't read must not stop other clusters.
            if let Ok(Some(record)) = stored(&*ctx.docker, &cluster).await
                && let Some(text) = record.originals.get(NOTE)
            {
                shared.extend(folders(text.as_bytes())?);
            }
        }
        let folder = self.folder();
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
        let path = format!("{}/{file}", self.folder());
        let found = observe::file(&*ctx.docker, &record, &path).await?;
        let Some(found) = found else {
            let made = noted_folders(ctx, &record).await?.contains(&self.folder());
            return Ok(if made && self.exists(ctx, &self.folder()).await? {
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
        let mut folders = noted_folders(ctx, &self.layout().record()).await?;
        folders.extend(self.absent(ctx).await?);
        folders.extend(self.shared(ctx).await?);
        let text = serde_json::to_string(&folders)?;
        let cluster = &self.spec.cluster;
        save(ctx, cluster, |record| {
            record.originals.insert(NOTE.to_owned(), text);
        })
        .await?;
        let (folder, file) = (self.folder(), self.layout().host_ca());
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
        let file = format!("{}/{}", self.folder(), self.layout().host_ca());
        let mut made = noted_folders(ctx, &self.layout().record()).await?;
        // Innermost first: a folder sorts before its content.
        let folders: Vec<String> = made.iter().rev().cloned().collect();
        if self.exists(ctx, &file).await? || made.contains(&self.folder()) {
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

/// Returns the host folders that a record notes.
pub(super) async fn noted_folders(ctx: &Ctx, record: &str) -> Result<BTreeSet<String>> {
    let originals = observe::folder(&*ctx.docker, record, layout::ORIGINALS).await?;
    let text = originals.unwrap_or_default().remove(NOTE);
    text.map_or_else(|| Ok(BTreeSet::new()), |text| folders(&text))
}

/// Reads a note. Others may have written it: it is only believed about Docker's folder, certs.d and the folders in it.
fn folders(note: &[u8]) -> Result<BTreeSet<String>> {
    let noted: BTreeSet<String> =
        serde_json::from_slice(note).context("can't read the record's list of host folders")?;
    let certs = format!("{}/{}", layout::HOST_ETC, layout::HOST_CERTS);
    let believed = |folder: &String| match folder.strip_prefix(certs.as_str()) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('/').is_some_and(|name| {
            !name.is_empty() && !name.contains('/') && name != "." && name != ".."
        }),
        None => certs
            .rsplit_once('/')
            .is_some_and(|(parent, _)| folder == parent),
    };
    Ok(noted.into_iter().filter(believed).collect())
}
