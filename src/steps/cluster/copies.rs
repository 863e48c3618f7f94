//! Step: the copies of the record, which `docker system prune` spares. See [`crate::observe::carriers`].

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use async_trait::async_trait;

use crate::archive::Archive;
use crate::docker::{
    Afterwards, Capabilities, ContainerSpec, Input, Label, Mount, MountSource, NetworkMode, Restart,
};
use crate::layout::{LABEL_CLUSTER, LABEL_REGISTRY, Layout, SECRET};
use crate::observe::{
    COPY_FILE, Carrier, Place, RECORD_FILE, RecordedSpec, StoredRecord, carriers, copy_text,
    our_container, stored,
};
use crate::spec::{ClusterName, ImageRef};
use crate::step::{Ctx, Leaves, State, Step, StepId};

/// The step that copies the record to every registry and the control plane.
#[derive(Debug)]
pub struct RecordCopies {
    /// The cluster of the record.
    pub cluster: ClusterName,
}

#[async_trait]
impl Step for RecordCopies {
    fn id(&self) -> StepId {
        StepId::new("cluster.record-copies")
    }

    fn title(&self) -> String {
        "copies of the record".to_owned()
    }

    fn leaves(&self) -> Leaves {
        // They go with what keeps them.
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let docker = &*ctx.docker;
        let record = stored(docker, &self.cluster).await?;
        let Some(record) = record.filter(|record| record.place == Place::Record) else {
            return Ok(State::Missing);
        };
        let wanted = copy_text(&record.specs, &record.originals)?;
        let (mut present, mut differ) = (0, Vec::new());
        let carriers = carriers(docker, &self.cluster).await?;
        for carrier in &carriers {
            let text = carrier.text(docker).await?;
            present += usize::from(text.is_some());
            if text.as_deref() != Some(wanted.as_bytes()) {
                differ.push(carrier.container.as_str());
            }
        }
        Ok(if present == 0 {
            State::Missing
        } else if differ.is_empty() {
            State::Ready
        } else {
            State::Drifted(format!("outdated in {}", differ.join(", ")))
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let record = stored(&*ctx.docker, &self.cluster).await?;
        copy(ctx, &self.cluster, &record.context("there is no record")?).await
    }
}

async fn copy(ctx: &Ctx, cluster: &ClusterName, record: &StoredRecord) -> Result<()> {
    let text = copy_text(&record.specs, &record.originals)?;
    for carrier in carriers(&*ctx.docker, cluster).await? {
        let folder = carrier.folder.trim_start_matches('/');
        // Readable by root only, as the secrets beside it.
        let archive = Archive::new()
            .file(format!("{folder}/{COPY_FILE}"), 0o600, text.clone())
            .into_bytes()?;
        ctx.docker.upload(&carrier.container, "/", archive).await?;
    }
    Ok(())
}

/// Changes the record. The copies are written first, so that either they or the record are complete if this is
/// interrupted.
///
/// # Errors
/// There is no record, or the engine refuses.
pub async fn save(
    ctx: &Ctx,
    cluster: &ClusterName,
    change: impl FnOnce(&mut StoredRecord) + Send,
) -> Result<()> {
    let before = stored(&*ctx.docker, cluster).await?;
    let before = before.context("there is no record")?;
    let mut record = before.clone();
    change(&mut record);
    copy(ctx, cluster, &record).await?;
    let mut archive = Archive::new();
    // The label alone would be an older record for whoever loses the file.
    if record.specs != before.specs || record.place != Place::Record {
        archive = with_specs(archive, &record.specs)?;
    }
    for (name, text) in &record.originals {
        if before.originals.get(name) != Some(text) {
            archive = with_original(archive, name, text);
        }
    }
    let container = Layout::of(cluster).record();
    let archive = archive.into_bytes()?;
    Ok(ctx.docker.upload(&container, "/", archive).await?)
}

/// Adds the Specs to an archive for the record container.
pub(super) fn with_specs(archive: Archive, specs: &RecordedSpec) -> Result<Archive> {
    let specs = serde_json::to_vec(specs)?;
    Ok(archive.file(format!("kindreg/{RECORD_FILE}"), 0o644, specs))
}

/// Adds an original to an archive for the record container.
pub(super) fn with_original(archive: Archive, name: &str, text: &str) -> Archive {
    archive.file(format!("kindreg/originals/{name}"), 0o644, text.to_owned())
}

/// Returns a container that never starts, to read a mount through it.
pub(super) fn never_started(
    name: String,
    image: &ImageRef,
    labels: BTreeMap<String, String>,
    mount: Mount,
) -> ContainerSpec {
    ContainerSpec {
        name,
        image: image.to_string(),
        entrypoint: vec!["true".to_owned()],
        command: Vec::new(),
        environment: BTreeMap::new(),
        labels,
        mounts: vec![mount],
        network: NetworkMode::None,
        ports: Vec::new(),
        restart: Restart::No,
        capabilities: Capabilities::Only(Vec::new()),
        input: Input::Closed,
        afterwards: Afterwards::Keep,
    }
}

/// Writes one original to the record, and leaves its specs and its copies as they are. For `undo`: neither a record that
/// can't be read nor a node that can't be written may keep `down` from giving back the rest.
///
/// # Errors
/// The engine refuses.
pub async fn save_original(
    ctx: &Ctx,
    cluster: &ClusterName,
    name: &str,
    text: String,
) -> Result<()> {
    let archive = with_original(Archive::new(), name, &text).into_bytes()?;
    let record = Layout::of(cluster).record();
    Ok(ctx.docker.upload(&record, "/", archive).await?)
}

/// Returns the copy of the record in the secret volumes of registries whose containers are gone; `None` if there is
/// none. It reads them through a container that never starts.
///
/// # Errors
/// An [`crate::observe::UnknownRecord`], or the engine refuses.
pub async fn copy_in_volumes(
    ctx: &Ctx,
    cluster: &ClusterName,
    image: &ImageRef,
) -> Result<Option<StoredRecord>> {
    let (docker, layout) = (&*ctx.docker, Layout::of(cluster));
    let label = Label::Pair(LABEL_CLUSTER, cluster.as_str());
    for volume in docker.volumes(label).await? {
        let name = volume.labels.get(LABEL_REGISTRY);
        let registry = name.and_then(|name| name.parse().ok());
        let is_secret = registry.is_some_and(|name| layout.secret_volume(&name) == volume.name);
        if !is_secret || !layout.owns(&volume.name, &volume.labels) {
            continue;
        }
        let name = layout.volume_reader();
        if our_container(docker, &layout, &name).await?.is_some() {
            docker.remove(&name).await?;
        }
        let mount = Mount {
            source: MountSource::Volume(volume.name),
            target: SECRET.to_owned(),
        };
        let reader = never_started(name.clone(), image, layout.labels(), mount);
        docker.create(&reader).await?;
        let found = Carrier {
            container: name.clone(),
            folder: SECRET,
        };
        let found = found.copy(docker, cluster).await;
        docker.remove(&name).await?;
        if let Some(copy) = found? {
            return Ok(Some(copy));
        }
    }
    Ok(None)
}
