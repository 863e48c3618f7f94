//! The record container: what was asked, in the engine itself. Made first, never started, removed last.
//!
//! It mounts the engine host's `/etc`, so that reading there takes no running container, and keeps the originals
//! that `down` gives back.

use anyhow::{Context, Result};
use async_trait::async_trait;
use serde_json::from_str;

use super::our_container;
use crate::docker::{
    Afterwards, Capabilities, ContainerSpec, Docker, Input, Mount, MountSource, NetworkMode,
    Restart,
};
use crate::layout::{self, Layout};
use crate::problem::Problem;
use crate::spec::{ClusterName, Spec};
use crate::step::{Ctx, State, Step};

/// The record of a cluster.
#[derive(Debug)]
pub struct Record {
    /// What is asked.
    pub spec: Spec,
}

impl Record {
    fn asked(&self) -> Result<String> {
        serde_json::to_string(&self.spec).context("can't write down what was asked")
    }

    fn container(&self) -> Result<ContainerSpec> {
        let layout = Layout::of(&self.spec.cluster);
        let mut labels = layout.labels();
        labels.insert(layout::LABEL_MODE.to_owned(), "owned".to_owned());
        labels.insert(layout::LABEL_ASKED.to_owned(), self.asked()?);
        Ok(ContainerSpec {
            name: layout.record(),
            image: self.spec.node_image.to_string(),
            entrypoint: vec!["true".to_owned()],
            command: Vec::new(),
            environment: std::collections::BTreeMap::new(),
            labels,
            mounts: vec![Mount {
                source: MountSource::Host("/etc".to_owned()),
                target: layout::HOST_ETC.to_owned(),
            }],
            network: NetworkMode::None,
            ports: Vec::new(),
            restart: Restart::No,
            capabilities: Capabilities::Only(Vec::new()),
            input: Input::Closed,
            afterwards: Afterwards::Keep,
        })
    }
}

#[async_trait]
impl Step for Record {
    fn title(&self) -> String {
        format!("record {}", Layout::of(&self.spec.cluster).record())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let layout = Layout::of(&self.spec.cluster);
        let found = our_container(&*ctx.docker, &layout, &layout.record()).await?;
        Ok(if found.is_some() {
            State::Ready
        } else {
            State::Missing
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        ctx.docker.create(&self.container()?).await?;
        Ok(())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        Ok(ctx
            .docker
            .remove(&Layout::of(&self.spec.cluster).record())
            .await?)
    }
}

/// What was asked when a cluster was made, or `None` where there is no record of it.
///
/// # Errors
/// A container of that name that isn't ours, or a record of a kindreg that this one doesn't understand.
pub async fn asked(docker: &dyn Docker, cluster: &ClusterName) -> Result<Option<Spec>> {
    let layout = Layout::of(cluster);
    let Some(record) = our_container(docker, &layout, &layout.record()).await? else {
        return Ok(None);
    };
    let made_by = record
        .labels
        .get(layout::LABEL_VERSION)
        .map_or("another version", String::as_str);
    let text = record
        .labels
        .get(layout::LABEL_ASKED)
        .map_or("", String::as_str);
    from_str(text).map(Some).with_context(|| {
        Problem::new(
            format!("the record of cluster {cluster} was written by kindreg {made_by} and can't be read by this one"),
            format!("use kindreg {made_by} for this cluster"),
        )
    })
}
