//! Steps: the record container, which stores the Spec in the engine. It is created first, never started, and removed
//! last.
//!
//! It mounts the engine host's `/etc`, so that the archive API can read there without a running container, and keeps
//! the originals that `down` restores.

use anyhow::Result;
use async_trait::async_trait;

use super::copies::{never_started, save, with_original, with_specs};
use crate::archive::Archive;
use crate::docker::{ContainerSpec, Mount, MountSource};
use crate::layout::{self, Layout};
use crate::observe::{
    Place, RecordedSpec, StoredRecord, UnknownRecord, our_container, recorded, stored,
};
use crate::problem;
use crate::spec::Spec;
use crate::step::{Ctx, Leaves, State, Step, StepId};

/// The step that writes the record of a cluster.
#[derive(Debug)]
pub struct Record {
    /// The Spec that is wanted.
    pub spec: Spec,
}

impl Record {
    /// Creates the record again from its copy, if the record container is missing, and writes everything that the copy
    /// has. The Spec of this step names the image.
    ///
    /// # Errors
    /// The engine refuses.
    pub async fn rebuild(&self, ctx: &Ctx, copy: &StoredRecord) -> Result<()> {
        let layout = Layout::of(&self.spec.cluster);
        let record = layout.record();
        if our_container(&*ctx.docker, &layout, &record)
            .await?
            .is_none()
        {
            ctx.docker.create(&self.container()?).await?;
        }
        let mut archive = with_specs(Archive::new(), &copy.specs)?;
        for (name, text) in &copy.originals {
            archive = with_original(archive, name, text);
        }
        Ok(ctx
            .docker
            .upload(&record, "/", archive.into_bytes()?)
            .await?)
    }

    fn container(&self) -> Result<ContainerSpec> {
        let layout = Layout::of(&self.spec.cluster);
        let record = RecordedSpec::new(self.spec.clone(), Vec::new());
        let mut labels = layout.labels();
        labels.insert(layout::LABEL_MODE.to_owned(), "owned".to_owned());
        labels.insert(
            layout::LABEL_RECORD.to_owned(),
            serde_json::to_string(&record)?,
        );
        let mount = Mount {
            source: MountSource::Host("/etc".to_owned()),
            target: layout::HOST_ETC.to_owned(),
        };
        let image = self.spec.target.node_image();
        Ok(never_started(layout.record(), image, labels, mount))
    }
}

#[async_trait]
impl Step for Record {
    fn id(&self) -> StepId {
        StepId::new("cluster.record")
    }

    fn title(&self) -> String {
        format!("record {}", Layout::of(&self.spec.cluster).record())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let found = match stored(&*ctx.docker, &self.spec.cluster).await {
            // Only for `down`, which removes the record; `up` reads it before it makes a plan.
            Err(error) => match problem::find(&error) {
                Some(UnknownRecord::Unreadable { .. }) => {
                    return Ok(State::Drifted("can't be read".to_owned()));
                }
                Some(UnknownRecord::Newer { .. }) | None => return Err(error),
            },
            Ok(found) => found,
        };
        Ok(match found {
            None => State::Missing,
            Some(record) if record.place != Place::Record => {
                let layout = Layout::of(&self.spec.cluster);
                let container = our_container(&*ctx.docker, &layout, &layout.record()).await?;
                match container {
                    None => State::Missing,
                    Some(_) => State::Drifted("incomplete".to_owned()),
                }
            }
            Some(record) if record.specs.current == self.spec => State::Ready,
            Some(record) => {
                let differences = record.specs.current.differences(&self.spec).join("; ");
                State::Drifted(format!("settings changed: {differences}"))
            }
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let Some(before) = stored(&*ctx.docker, &self.spec.cluster).await? else {
            ctx.docker.create(&self.container()?).await?;
            return write(ctx, &self.spec, Vec::new()).await;
        };
        let earlier = before.specs.replaced_by(&self.spec);
        if before.place == Place::Copy {
            self.rebuild(ctx, &before).await?;
        }
        write(ctx, &self.spec, earlier).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let record = Layout::of(&self.spec.cluster).record();
        Ok(ctx.docker.remove(&record).await?)
    }
}

/// The step that removes earlier Specs from the record, after nothing of them is left.
#[derive(Debug)]
pub struct Settled {
    /// The Spec that is wanted.
    pub spec: Spec,
}

#[async_trait]
impl Step for Settled {
    fn id(&self) -> StepId {
        StepId::new("cluster.settled")
    }

    fn title(&self) -> String {
        "forget previous settings".to_owned()
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        Ok(match recorded(&*ctx.docker, &self.spec.cluster).await? {
            Some(record) if !record.earlier.is_empty() => {
                State::Drifted("still in the record".to_owned())
            }
            _ => State::Ready,
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        write(ctx, &self.spec, Vec::new()).await
    }
}

async fn write(ctx: &Ctx, current: &Spec, earlier: Vec<Spec>) -> Result<()> {
    let specs = RecordedSpec::new(current.clone(), earlier);
    save(ctx, &current.cluster, |record| record.specs = specs).await
}
