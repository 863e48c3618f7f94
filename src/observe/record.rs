//! The record: the Spec that was asked for, kept in the engine.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{below, our_container};
use crate::docker::Docker;
use crate::layout::{self, Layout};
use crate::problem::Problem;
use crate::spec::{ClusterName, RegistryName, Spec};

/// File of the record with what is asked for now; its label has what was asked for first.
pub const RECORD_FILE: &str = "record.json";
/// The folder of [`RECORD_FILE`] in the record container.
const FOLDER: &str = "/kindreg";

/// The version of the form in which records are written. A change that an older kindreg would misread raises it.
const VERSION: u32 = 2;

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedSpec {
    /// The version of this form.
    version: u32,
    /// What is asked for.
    pub current: Spec,
    /// What was asked for before, as long as something of it may be left.
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
    /// A record in today's form.
    #[must_use]
    pub const fn new(current: Spec, earlier: Vec<Spec>) -> Self {
        Self {
            version: VERSION,
            current,
            earlier,
        }
    }

    /// Returns what of `wanted` no `up` can do. Asks the engine only where that depends on what is there.
    pub async fn unchangeable(&self, docker: &dyn Docker, wanted: &Spec) -> Result<Option<String>> {
        let all = self.current.managed().map(|registry| registry.name.clone());
        if self.current.unchangeable(wanted, &all.collect()).is_none() {
            return Ok(None);
        }
        let there = managed_with_volumes(docker, &wanted.cluster).await?;
        Ok(self.current.unchangeable(wanted, &there))
    }

    /// Returns everything that was asked for before, once `spec` is.
    #[must_use]
    pub fn replaced_by(&self, spec: &Spec) -> Vec<Spec> {
        let mut earlier = self.earlier.clone();
        earlier.push(self.current.clone());
        earlier.retain(|old| old != spec);
        earlier
    }
}

/// A record of a form that this kindreg does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownRecord {
    /// A newer kindreg wrote it. Whatever is done without reading it may be wrong.
    #[error("its record has version {version}, and this kindreg reads version {VERSION}")]
    Newer {
        /// The record's version.
        version: u32,
    },
    /// It was written before records had a version, or is damaged.
    #[error("{why}")]
    Unreadable {
        /// Why.
        why: String,
    },
}

/// Returns what is asked of a cluster, or `None` where there is no record of it.
///
/// # Errors
/// A container of that name that isn't ours, or an [`UnknownRecord`].
pub async fn recorded(docker: &dyn Docker, cluster: &ClusterName) -> Result<Option<RecordedSpec>> {
    let layout = Layout::of(cluster);
    let name = layout.record();
    let Some(record) = our_container(docker, &layout, &name).await? else {
        return Ok(None);
    };
    let file = match docker.download(&name, FOLDER).await? {
        Some(tar) => below(&tar, "kindreg")?.remove(RECORD_FILE),
        None => None,
    };
    // A file that was cut off in the writing does not parse; the label then has the last that is sure.
    if let Some(text) = file
        && serde_json::from_slice::<serde_json::Value>(&text).is_ok()
    {
        return read(&text, cluster).map(Some);
    }
    let label = record.labels.get(layout::LABEL_RECORD);
    read(label.map_or(&[], |text| text.as_bytes()), cluster).map(Some)
}

fn read(text: &[u8], cluster: &ClusterName) -> Result<RecordedSpec> {
    let unreadable = |why: String| {
        let what = format!("can't read the record of cluster {cluster}");
        let hint = format!("remove the cluster: kindreg down --name {cluster}");
        anyhow::Error::from(UnknownRecord::Unreadable { why }).context(Problem::new(what, hint))
    };
    let version = serde_json::from_slice(text).map(|Versioned { version }| version);
    match version {
        Ok(VERSION) => serde_json::from_slice(text).map_err(|error| unreadable(error.to_string())),
        Ok(version) if version > VERSION => {
            Err(UnknownRecord::Newer { version }).context(Problem::new(
                format!("a newer kindreg manages cluster {cluster}"),
                "use the kindreg that created or changed the cluster",
            ))
        }
        Ok(version) => Err(unreadable(format!("unsupported version {version}"))),
        Err(_) if text.is_empty() => Err(unreadable("it has no version".to_owned())),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// Returns the registries of a cluster that have a volume: those that came to be.
pub async fn managed_with_volumes(
    docker: &dyn Docker,
    cluster: &ClusterName,
) -> Result<BTreeSet<RegistryName>> {
    let volumes = docker.volumes(layout::LABEL_CLUSTER, cluster.as_str());
    let named = volumes.await?.into_iter().filter_map(|volume| {
        let name = volume.labels.get(layout::LABEL_REGISTRY)?;
        name.parse().ok()
    });
    Ok(named.collect())
}
