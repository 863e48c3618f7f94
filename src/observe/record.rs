//! Reads of the record: the Spec of a cluster, stored in the engine.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::copies::copy;
use super::{folder, our_container};
use crate::docker::{Docker, Label};
use crate::layout::{self, Layout};
use crate::problem::Problem;
use crate::spec::{ClusterName, RegistryName, Spec};

/// The file in the record container with the current Spec. The container's label has the first one.
pub const RECORD_FILE: &str = "record.json";
/// The folder of [`RECORD_FILE`] in the record container.
const FOLDER: &str = "/kindreg";

/// The version of the record format. It is raised by every change that an older kindreg would misread.
const VERSION: u32 = 2;

/// The content of a record: the current Spec and the earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedSpec {
    /// The version of the format.
    version: u32,
    /// The current Spec.
    pub current: Spec,
    /// Earlier Specs, as long as objects of them may be left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Spec>,
}

/// The part of a record that every version has.
#[derive(Deserialize)]
struct Versioned {
    #[serde(default)]
    version: u32,
}

impl RecordedSpec {
    /// Returns a record in the current format.
    #[must_use]
    pub const fn new(current: Spec, earlier: Vec<Spec>) -> Self {
        Self {
            version: VERSION,
            current,
            earlier,
        }
    }

    /// Returns why `up` can't change the cluster to `wanted`; `None` if it can. Reads the engine only if the answer
    /// depends on it.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn unchangeable(&self, docker: &dyn Docker, wanted: &Spec) -> Result<Option<String>> {
        let all = self.current.managed().map(|registry| registry.name.clone());
        if self.current.unchangeable(wanted, &all.collect()).is_none() {
            return Ok(None);
        }
        let there = managed_with_volumes(docker, &wanted.cluster).await?;
        Ok(self.current.unchangeable(wanted, &there))
    }

    /// Returns the earlier Specs of a record whose current Spec is replaced by `spec`.
    #[must_use]
    pub fn replaced_by(&self, spec: &Spec) -> Vec<Spec> {
        let mut earlier = self.earlier.clone();
        earlier.push(self.current.clone());
        earlier.retain(|old| old != spec);
        earlier
    }
}

/// A record that this kindreg can't read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownRecord {
    /// A newer kindreg wrote the record. Any change without reading it may be wrong.
    #[error("its record has version {version}; this kindreg reads version {VERSION}")]
    Newer {
        /// The record's version.
        version: u32,
    },
    /// The record has no version, an unsupported one, or is damaged.
    #[error("{why}")]
    Unreadable {
        /// The reason.
        why: String,
    },
}

/// Where a record was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the record container.
    Record,
    /// On the label of the record container, which has the first Spec: no file was written, or it is lost.
    Label,
    /// In a copy, because the record container is missing or its file is incomplete.
    Copy,
}

/// Everything that a record keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The Specs.
    pub specs: RecordedSpec,
    /// What `down` restores: the content of each file in [`layout::ORIGINALS`], by its name.
    pub originals: BTreeMap<String, String>,
    /// Where it was found.
    pub place: Place,
}

/// Returns the record of a cluster, or its copy; `None` if there is neither.
///
/// # Errors
/// The record container is not ours, an [`UnknownRecord`], or the engine does not answer.
pub async fn recorded(docker: &dyn Docker, cluster: &ClusterName) -> Result<Option<RecordedSpec>> {
    let stored = stored(docker, cluster).await?;
    Ok(stored.map(|stored| stored.specs))
}

/// Returns everything that the record of a cluster keeps, from its copy if need be; `None` if there is neither.
///
/// # Errors
/// The record container is not ours, an [`UnknownRecord`], or the engine does not answer.
pub async fn stored(docker: &dyn Docker, cluster: &ClusterName) -> Result<Option<StoredRecord>> {
    let layout = Layout::of(cluster);
    let name = layout.record();
    let Some(record) = our_container(docker, &layout, &name).await? else {
        return copy(docker, cluster).await;
    };
    let mut files = folder(docker, &name, FOLDER).await?.unwrap_or_default();
    let (specs, place) = match files.remove(RECORD_FILE) {
        // A copy may have later settings than the label.
        None => {
            if let Some(copy) = copy(docker, cluster).await? {
                return Ok(Some(copy));
            }
            let label = record.labels.get(layout::LABEL_RECORD);
            let specs = read(label.map_or(&[], |text| text.as_bytes()), cluster)?;
            (specs, Place::Label)
        }
        Some(text) if serde_json::from_slice::<serde_json::Value>(&text).is_ok() => {
            (read(&text, cluster)?, Place::Record)
        }
        // Its write was interrupted. The label has an older Spec; the copies were written before.
        Some(_) => {
            let copy = copy(docker, cluster).await?;
            let copy = copy.ok_or_else(|| unreadable(cluster, "incomplete".to_owned()))?;
            return Ok(Some(copy));
        }
    };
    let originals = files.into_iter().filter_map(|(path, content)| {
        let name = path.strip_prefix("originals/")?.to_owned();
        Some((name, String::from_utf8(content.to_vec()).ok()?))
    });
    Ok(Some(StoredRecord {
        specs,
        originals: originals.collect(),
        place,
    }))
}

fn unreadable(cluster: &ClusterName, why: String) -> anyhow::Error {
    let what = format!("can't read the record of cluster {cluster}");
    let hint = format!("run: kindreg down --name {cluster}");
    anyhow::Error::from(UnknownRecord::Unreadable { why }).context(Problem::new(what, hint))
}

/// Reads a record.
///
/// # Errors
/// An [`UnknownRecord`].
pub(super) fn read(text: &[u8], cluster: &ClusterName) -> Result<RecordedSpec> {
    let unreadable = |why: String| unreadable(cluster, why);
    let version = serde_json::from_slice(text).map(|Versioned { version }| version);
    match version {
        Ok(VERSION) => {
            let specs = serde_json::from_slice::<RecordedSpec>(text);
            let specs = specs.map_err(|error| unreadable(error.to_string()))?;
            // What it says about another cluster would be done to that one.
            let all = || specs.earlier.iter().chain([&specs.current]);
            if let Some(other) = all().find(|spec| spec.cluster != *cluster) {
                return Err(unreadable(format!("it names cluster {}", other.cluster)));
            }
            Ok(specs)
        }
        Ok(version) if version > VERSION => {
            Err(UnknownRecord::Newer { version }).context(Problem::new(
                format!("cluster {cluster} was created or changed by a newer kindreg"),
                "upgrade kindreg, and run the command again",
            ))
        }
        Ok(version) => Err(unreadable(format!("unsupported version {version}"))),
        Err(_) if text.is_empty() => Err(unreadable("no version".to_owned())),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// Returns the registries of a cluster that have a volume, which are those that were created.
pub async fn managed_with_volumes(
    docker: &dyn Docker,
    cluster: &ClusterName,
) -> Result<BTreeSet<RegistryName>> {
    let volumes = docker.volumes(Label::Pair(layout::LABEL_CLUSTER, cluster.as_str()));
    let layout = Layout::of(cluster);
    let volumes = volumes.await?.into_iter();
    let ours = volumes.filter(|volume| layout.owns(&volume.name, &volume.labels));
    let named = ours.filter_map(|volume| {
        let name = volume.labels.get(layout::LABEL_REGISTRY)?;
        name.parse().ok()
    });
    Ok(named.collect())
}
