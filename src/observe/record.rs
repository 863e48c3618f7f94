//! Reads of the record: the Spec of a cluster, stored in the engine.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{below, our_container};
use crate::docker::Docker;
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

/// Returns the record of a cluster; `None` if there is none.
///
/// # Errors
/// The record container is not ours, an [`UnknownRecord`], or the engine does not answer.
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
    // A file whose write was interrupted does not parse. The label then has the last complete record.
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
        let hint = format!("run: kindreg down --name {cluster}");
        anyhow::Error::from(UnknownRecord::Unreadable { why }).context(Problem::new(what, hint))
    };
    let version = serde_json::from_slice(text).map(|Versioned { version }| version);
    match version {
        Ok(VERSION) => serde_json::from_slice(text).map_err(|error| unreadable(error.to_string())),
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
    let volumes = docker.volumes(layout::LABEL_CLUSTER, cluster.as_str());
    let named = volumes.await?.into_iter().filter_map(|volume| {
        let name = volume.labels.get(layout::LABEL_REGISTRY)?;
        name.parse().ok()
    });
    Ok(named.collect())
}
