//! The copies of a record, in what `docker system prune` spares while a cluster runs: the secret volumes of its registries
//! and its control plane. The record itself is a container that never starts, which prune removes.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::record::{Place, read};
use super::{RecordedSpec, StoredRecord, UnknownRecord, folder, our_kind_containers, owns};
use crate::docker::{Docker, Label};
use crate::layout::{self, Layout};
use crate::problem::{self, Unreadable};
use crate::spec::ClusterName;

/// The file of a copy, in the folder of its [`Carrier`].
pub const COPY_FILE: &str = "record.json";
/// The key of a copy that a record has not.
const ORIGINALS: &str = "originals";

/// A container that keeps a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carrier {
    /// The name of the container.
    pub container: String,
    /// The folder of the copy in the container.
    pub folder: &'static str,
}

impl Carrier {
    /// Returns the text of its copy; `None` if it has none.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn text(&self, docker: &dyn Docker) -> Result<Option<Vec<u8>>> {
        let files = match folder(docker, &self.container, self.folder).await {
            // What a node has there may be anything. It is no copy if it can't be read.
            Err(error) if problem::find::<Unreadable>(&error).is_some() => None,
            files => files?,
        };
        let text = files.and_then(|mut files| files.remove(COPY_FILE));
        Ok(text.filter(|text| !text.is_empty()).map(Vec::from))
    }

    /// Returns its copy; `None` if it has none.
    ///
    /// # Errors
    /// An [`UnknownRecord`], or the engine does not answer.
    pub async fn copy(
        &self,
        docker: &dyn Docker,
        cluster: &ClusterName,
    ) -> Result<Option<StoredRecord>> {
        let text = self.text(docker).await?;
        text.map(|text| parse(&text, cluster)).transpose()
    }
}

/// Returns the containers that keep copies: every registry of ours, and then our control plane.
///
/// # Errors
/// The engine does not answer.
pub async fn carriers(docker: &dyn Docker, cluster: &ClusterName) -> Result<Vec<Carrier>> {
    let layout = Layout::of(cluster);
    let mut carriers = Vec::new();
    let label = Label::Pair(layout::LABEL_CLUSTER, cluster.as_str());
    for container in docker.containers(label).await? {
        let name = container.labels.get(layout::LABEL_REGISTRY);
        let registry = name.and_then(|name| name.parse().ok());
        let is_registry = registry.is_some_and(|name| layout.registry(&name) == container.name);
        if is_registry && owns(docker, &layout, &container).await? {
            carriers.push(Carrier {
                container: container.name,
                folder: layout::SECRET,
            });
        }
    }
    let nodes = our_kind_containers(docker, cluster).await?;
    let mut names = nodes.into_iter().map(|node| node.name);
    let control_plane = names.find(|name| *name == layout.control_plane());
    carriers.extend(control_plane.map(|container| Carrier {
        container,
        folder: layout::NODE_STATE,
    }));
    Ok(carriers)
}

/// Returns the text of a copy.
///
/// # Errors
/// It can't be serialised.
pub fn copy_text(specs: &RecordedSpec, originals: &BTreeMap<String, String>) -> Result<String> {
    let mut copy = serde_json::to_value(specs)?;
    let fields = copy.as_object_mut().context("a record is an object")?;
    fields.insert(ORIGINALS.to_owned(), serde_json::to_value(originals)?);
    Ok(copy.to_string())
}

/// Returns the first copy that can be read; `None` if there is no copy.
///
/// # Errors
/// No copy can be read, a newer kindreg wrote one, or the engine does not answer.
pub(super) async fn copy(
    docker: &dyn Docker,
    cluster: &ClusterName,
) -> Result<Option<StoredRecord>> {
    let mut unreadable = None;
    for carrier in carriers(docker, cluster).await? {
        match carrier.copy(docker, cluster).await {
            Ok(None) => {}
            Ok(copy) => return Ok(copy),
            // Another copy may be complete. One of a newer kindreg is not passed over: the others may be older.
            Err(error) => match problem::find(&error) {
                Some(UnknownRecord::Unreadable { .. }) => unreadable = Some(error),
                Some(UnknownRecord::Newer { .. }) | None => return Err(error),
            },
        }
    }
    unreadable.map_or(Ok(None), Err)
}

fn parse(text: &[u8], cluster: &ClusterName) -> Result<StoredRecord> {
    let mut copy: Value = serde_json::from_slice(text).unwrap_or_default();
    let originals = copy
        .as_object_mut()
        .and_then(|fields| fields.remove(ORIGINALS));
    let specs = match &originals {
        Some(_) => read(copy.to_string().as_bytes(), cluster)?,
        None => read(text, cluster)?,
    };
    Ok(StoredRecord {
        specs,
        originals: serde_json::from_value(originals.unwrap_or_default()).unwrap_or_default(),
        place: Place::Copy,
    })
}
