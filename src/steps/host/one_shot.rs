//! A script in a container of its own, made from the nodes' image: a registry's image need not have a shell.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::archive::Archive;
use crate::docker::{Afterwards, Capabilities, ContainerSpec, Input, Mount, NetworkMode, Restart};
use crate::layout::Layout;
use crate::observe::our_container;
use crate::spec::Spec;
use crate::step::Ctx;

/// A script ran to its end and failed.
#[derive(Debug, thiserror::Error)]
#[error("{doing} failed with exit code {code}: {said}")]
pub(crate) struct ScriptFailed {
    doing: &'static str,
    code: i64,
    said: String,
}

/// What is run, and where.
#[derive(Debug)]
pub(crate) struct Script<'a> {
    /// What it does, as a phrase.
    pub(crate) doing: &'static str,
    /// Name of the container.
    pub(crate) container: String,
    /// What it writes to; `None` where it writes nothing.
    pub(crate) mount: Option<Mount>,
    /// The network that it runs on; `None` where it needs none.
    pub(crate) network: Option<String>,
    /// The script.
    pub(crate) text: &'a str,
    /// Its name, and what follows it.
    pub(crate) arguments: &'a [&'a str],
    /// What it is to find at `/kindreg/file`.
    pub(crate) file: Option<String>,
}

impl Script<'_> {
    /// Runs it with no right but to write where root may, until it ends or the run is stopped.
    pub(crate) async fn run(self, ctx: &Ctx, spec: &Spec) -> Result<()> {
        let layout = Layout::of(&spec.cluster);
        let name = &self.container;
        // One of a killed run may be left.
        if our_container(&*ctx.docker, &layout, name).await?.is_some() {
            ctx.docker.remove(name).await?;
        }
        let command = ["-c", self.text].into_iter();
        let container = ContainerSpec {
            name: name.clone(),
            image: spec.target.node_image().to_string(),
            entrypoint: vec!["sh".to_owned()],
            command: command
                .chain(self.arguments.iter().copied())
                .map(str::to_owned)
                .collect(),
            environment: BTreeMap::new(),
            labels: layout.labels(),
            mounts: self.mount.into_iter().collect(),
            network: self
                .network
                .map_or(NetworkMode::None, |name| NetworkMode::Named {
                    name,
                    aliases: Vec::new(),
                }),
            ports: Vec::new(),
            restart: Restart::No,
            capabilities: Capabilities::Only(vec!["DAC_OVERRIDE".to_owned()]),
            input: Input::Closed,
            afterwards: Afterwards::Keep,
        };
        ctx.docker.create(&container).await?;
        let result = async {
            if let Some(content) = self.file {
                let archive = Archive::new()
                    .file("kindreg/file", 0o644, content)
                    .into_bytes()?;
                ctx.docker.upload(name, "/", archive).await?;
            }
            ctx.docker.start(name).await?;
            match ctx.unless_stopped(ctx.docker.wait(name)).await?? {
                0 => Ok(()),
                code => Err(ScriptFailed {
                    doing: self.doing,
                    code,
                    said: ctx.docker.logs(name, 5).await?.trim().to_owned(),
                }
                .into()),
            }
        }
        .await;
        ctx.docker.remove(name).await?;
        result
    }
}
