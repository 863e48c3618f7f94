//! The record container: what was asked, in the engine itself. Made first, never started, removed last.
//!
//! It mounts the engine host's `/etc`, so that reading there takes no running container, and keeps the originals
//! that `down` gives back.

use anyhow::{Context, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{below, our_container};
use crate::archive::Archive;
use crate::docker::{
    Afterwards, Capabilities, ContainerSpec, Docker, Input, Mount, MountSource, NetworkMode,
    Restart,
};
use crate::layout::{self, Layout};
use crate::problem::Problem;
use crate::spec::{ClusterName, Spec};
use crate::step::{Ctx, Leaves, State, Step};

/// File of the record with what is asked now; its label has what was asked first.
const FILE: &str = "asked.json";
/// The folder of [`FILE`] in the record.
const FOLDER: &str = "/kindreg";

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What is asked.
    pub current: Spec,
    /// What was asked before, as long as something of it may be left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Spec>,
}

impl Asked {
    /// What of `wanted` no `up` can do. Asks the engine only where that depends on what is there.
    pub async fn unchangeable(&self, docker: &dyn Docker, wanted: &Spec) -> Result<Option<String>> {
        let all = self.current.ours().map(|registry| registry.name.clone());
        if self.current.unchangeable(wanted, &all.collect()).is_none() {
            return Ok(None);
        }
        let there = super::registries(docker, &wanted.cluster).await?;
        Ok(self.current.unchangeable(wanted, &there))
    }

    /// Everything that was asked before, once `spec` is.
    #[must_use]
    pub fn replaced_by(&self, spec: &Spec) -> Vec<Spec> {
        let mut earlier = self.earlier.clone();
        earlier.push(self.current.clone());
        earlier.retain(|old| old != spec);
        earlier
    }
}

/// The record of a cluster.
#[derive(Debug)]
pub struct Record {
    /// What is asked.
    pub spec: Spec,
}

impl Record {
    fn container(&self) -> Result<ContainerSpec> {
        let layout = Layout::of(&self.spec.cluster);
        let asked = Asked {
            current: self.spec.clone(),
            earlier: Vec::new(),
        };
        let mut labels = layout.labels();
        labels.insert(layout::LABEL_MODE.to_owned(), "owned".to_owned());
        labels.insert(
            layout::LABEL_ASKED.to_owned(),
            serde_json::to_string(&asked)?,
        );
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
        Ok(match asked(&*ctx.docker, &self.spec.cluster).await? {
            None => State::Missing,
            Some(asked) if asked.current == self.spec => State::Ready,
            Some(asked) => {
                let differences = asked.current.differences(&self.spec).join("; ");
                State::Drifted(format!("other settings are asked for: {differences}"))
            }
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let Some(before) = asked(&*ctx.docker, &self.spec.cluster).await? else {
            ctx.docker.create(&self.container()?).await?;
            return Ok(());
        };
        write(ctx, &self.spec, before.replaced_by(&self.spec)).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let record = Layout::of(&self.spec.cluster).record();
        Ok(ctx.docker.remove(&record).await?)
    }
}

/// The record forgets earlier settings, once nothing of them is left.
#[derive(Debug)]
pub struct Settled {
    /// What is asked.
    pub spec: Spec,
}

#[async_trait]
impl Step for Settled {
    fn title(&self) -> String {
        "end of earlier settings".to_owned()
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        Ok(match asked(&*ctx.docker, &self.spec.cluster).await? {
            Some(asked) if !asked.earlier.is_empty() => {
                State::Drifted("the record still has them".to_owned())
            }
            _ => State::Ready,
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        write(ctx, &self.spec, Vec::new()).await
    }

    async fn undo(&self, _: &Ctx) -> Result<()> {
        Ok(())
    }
}

async fn write(ctx: &Ctx, current: &Spec, earlier: Vec<Spec>) -> Result<()> {
    let record = Layout::of(&current.cluster).record();
    let current = current.clone();
    let text = serde_json::to_vec(&Asked { current, earlier })?;
    let archive = Archive::new()
        .file(format!("kindreg/{FILE}"), 0o644, text)
        .into_bytes()?;
    Ok(ctx.docker.upload(&record, "/", archive).await?)
}

/// What is asked of a cluster, or `None` where there is no record of it.
///
/// # Errors
/// A container of that name that isn't ours, or a record of a kindreg that this one doesn't understand.
pub async fn asked(docker: &dyn Docker, cluster: &ClusterName) -> Result<Option<Asked>> {
    let layout = Layout::of(cluster);
    let name = layout.record();
    let Some(record) = our_container(docker, &layout, &name).await? else {
        return Ok(None);
    };
    // A file that was cut off in the writing does not parse; the label then has the last that is sure.
    let newer = match docker.download(&name, FOLDER).await? {
        Some(tar) => below(&tar, "kindreg")?.remove(FILE),
        None => None,
    };
    if let Some(asked) = newer.and_then(|text| serde_json::from_slice(&text).ok()) {
        return Ok(Some(asked));
    }
    let label = |name| record.labels.get(name).map(String::as_str);
    let made_by = label(layout::LABEL_VERSION).unwrap_or("another version");
    let text = label(layout::LABEL_ASKED).unwrap_or_default();
    serde_json::from_str(text).map(Some).with_context(|| {
        Problem::new(
            format!("the record of cluster {cluster} was written by kindreg {made_by} and can't be read by this one"),
            format!("use kindreg {made_by} for this cluster"),
        )
    })
}
