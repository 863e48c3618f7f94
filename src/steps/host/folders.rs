//! The folders that kindreg created on the engine's host. The record notes them, so that `down` removes them and no
//! others.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use crate::layout::{self, Layout};
use crate::observe::{self, clusters, on_host, stored};
use crate::spec::ClusterName;
use crate::step::Ctx;
use crate::steps::cluster::{save, save_original};

/// The file in the record with the host folders that kindreg created, for all registries.
const NOTE: &str = "host-folders.json";

/// Returns whether something is at a path of the engine's host, as the record container sees it.
pub(super) async fn exists(ctx: &Ctx, cluster: &ClusterName, path: &str) -> Result<bool> {
    let found = ctx.docker.stat(&Layout::of(cluster).record(), path).await?;
    Ok(found.is_some())
}

/// Returns the host folders that a cluster's record notes.
pub(super) async fn noted(ctx: &Ctx, cluster: &ClusterName) -> Result<BTreeSet<String>> {
    let record = Layout::of(cluster).record();
    let originals = observe::folder(&*ctx.docker, &record, layout::ORIGINALS).await?;
    let Some(text) = originals.unwrap_or_default().remove(NOTE) else {
        return Ok(BTreeSet::new());
    };
    let certs = on_host(&*ctx.docker, cluster, layout::HOST_CERTS).await?;
    believed(&text, &certs)
}

/// Notes that this run is about to create a folder and its missing parents, so that `down` removes them even if the run
/// is killed.
pub(super) async fn note(ctx: &Ctx, cluster: &ClusterName, folder: &str) -> Result<()> {
    let before = noted(ctx, cluster).await?;
    let mut folders = before.clone();
    folders.extend(absent(ctx, cluster, folder).await?);
    folders.extend(shared(ctx, cluster, folder).await?);
    if folders == before {
        return Ok(());
    }
    let text = serde_json::to_string(&folders)?;
    save(ctx, cluster, |record| {
        record.originals.insert(NOTE.to_owned(), text);
    })
    .await
}

/// Drops those of the noted folders that no longer exist from the note.
pub(super) async fn forget_removed(
    ctx: &Ctx,
    cluster: &ClusterName,
    mut folders: BTreeSet<String>,
) -> Result<()> {
    for folder in folders.clone() {
        if !exists(ctx, cluster, &folder).await? {
            folders.remove(&folder);
        }
    }
    let text = serde_json::to_string(&folders)?;
    save_original(ctx, cluster, NOTE, text).await
}

/// Returns those of a folder and its parents that do not exist yet, outermost first.
pub(super) async fn absent(
    ctx: &Ctx,
    cluster: &ClusterName,
    folder: &str,
) -> Result<BTreeSet<String>> {
    let mut absent = BTreeSet::new();
    let mut folder = folder.to_owned();
    while folder != layout::HOST_ETC && !exists(ctx, cluster, &folder).await? {
        let parent = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
        let parent = parent.to_owned();
        absent.insert(std::mem::replace(&mut folder, parent));
    }
    Ok(absent)
}

/// Returns the parent folders that other clusters' records note. The last cluster to be removed removes them.
async fn shared(ctx: &Ctx, cluster: &ClusterName, folder: &str) -> Result<BTreeSet<String>> {
    let mut shared = BTreeSet::new();
    let certs = on_host(&*ctx.docker, cluster, layout::HOST_CERTS).await?;
    for cluster in clusters(&*ctx.docker).await? {
        // A record that this version can't read must not stop other clusters.
        if let Ok(Some(record)) = stored(&*ctx.docker, &cluster).await
            && let Some(text) = record.originals.get(NOTE)
        {
            shared.extend(believed(text.as_bytes(), &certs)?);
        }
    }
    shared.retain(|made| folder.starts_with(made.as_str()));
    Ok(shared)
}

/// Reads a note. Others may have written it: it is only believed about certs.d, the folders in it, and those above it in
/// `/etc`. `certs` is where certs.d leads now; the note may be older than a link there.
fn believed(note: &[u8], certs: &str) -> Result<BTreeSet<String>> {
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
