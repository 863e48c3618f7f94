//! Runs a script in a one-shot container. It uses the nodes' image, because a registry's image may have no shell.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::archive::Archive;
use crate::docker::{Afterwards, Capabilities, ContainerSpec, Input, Mount, NetworkMode, Restart};
use crate::layout::Layout;
use crate::observe::our_container;
use crate::spec::Spec;
use crate::step::Ctx;

/// The error of a script that ended with another exit code than 0.
#[derive(Debug, thiserror::Error)]
#[error("{doing} failed with exit code {code}: {said}")]
pub(crate) struct ScriptFailed {
    doing: &'static str,
    code: i64,
    said: String,
}

/// A script to run in a one-shot container.
#[derive(Debug)]
pub(crate) struct Script<'a> {
    /// What the script does, for error messages ("replacing the registry's users").
    pub(crate) doing: &'static str,
    /// The name of the container.
    pub(crate) container: String,
    /// The mount that the script writes to; `None` if it writes nothing.
    pub(crate) mount: Option<Mount>,
    /// The network of the container.
    pub(crate) network: NetworkMode,
    /// The text of the script.
    pub(crate) text: &'a str,
    /// The name of the script (`$0`), followed by its arguments.
    pub(crate) arguments: &'a [&'a str],
    /// The name and content of each file that the script finds in `/kindreg`.
    pub(crate) files: Vec<(String, String)>,
}

impl Script<'_> {
    /// Runs the script until it ends or the run is stopped, and removes the container. Its only capability is to write
    /// where root may.
    ///
    /// # Errors
    /// The script failed, the container is not ours, the engine refuses, or the run is stopped.
    pub(crate) async fn run(self, ctx: &Ctx, spec: &Spec) -> Result<()> {
        let layout = Layout::of(&spec.cluster);
        let name = &self.container;
        // A killed run may have left its container.
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
            network: self.network,
            ports: Vec::new(),
            restart: Restart::No,
            capabilities: Capabilities::Only(vec!["DAC_OVERRIDE".to_owned()]),
            input: Input::Closed,
            afterwards: Afterwards::Keep,
        };
        if let Err(error) = ctx.docker.create(&container).await {
            // It may exist although its creation seemed to fail. Roll-back knows nothing of it.
            let cleaning = ctx.cleaning();
            if let Ok(Some(_)) = our_container(&*cleaning.docker, &layout, name).await {
                let _ = cleaning.docker.remove(name).await;
            }
            return Err(error.into());
        }
        let result = async {
            if !self.files.is_empty() {
                let files = self.files.into_iter();
                let archive = files.fold(Archive::new(), |archive, (file, content)| {
                    archive.file(format!("kindreg/{file}"), 0o644, content)
                });
                ctx.docker.upload(name, "/", archive.into_bytes()?).await?;
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
        if ctx.docker.remove(name).await.is_err() {
            // Once more, with the time of a clean-up: roll-back knows nothing of it.
            ctx.cleaning().docker.remove(name).await?;
        }
        result
    }
}
