//! A script that needs one volume, in a container of its own: a registry's image need not have a shell.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::our_container;
use crate::docker::{
    Afterwards, Capabilities, ContainerSpec, Input, Mount, MountSource, NetworkMode, Restart,
};
use crate::layout::Layout;
use crate::spec::Spec;
use crate::step::Ctx;

/// What is run, and where.
#[derive(Debug)]
pub(super) struct Script {
    /// Name of the container.
    pub(super) container: String,
    /// The volume.
    pub(super) volume: String,
    /// Where the volume appears: the script's first argument.
    pub(super) folder: &'static str,
    /// Name of the script.
    pub(super) name: &'static str,
    /// The script.
    pub(super) text: &'static str,
}

impl Script {
    /// Runs it with no network, and no right but to write where root may.
    pub(super) async fn run(&self, ctx: &Ctx, spec: &Spec) -> Result<()> {
        let layout = Layout::of(&spec.cluster);
        let name = &self.container;
        // One of a killed run may be left.
        if our_container(&*ctx.docker, &layout, name).await?.is_some() {
            ctx.docker.remove(name).await?;
        }
        let command = ["-c", self.text, self.name, self.folder];
        let container = ContainerSpec {
            name: name.clone(),
            image: spec.node_image.to_string(),
            entrypoint: vec!["sh".to_owned()],
            command: command.map(str::to_owned).into(),
            environment: BTreeMap::new(),
            labels: layout.labels(),
            mounts: vec![Mount {
                source: MountSource::Volume(self.volume.clone()),
                target: self.folder.to_owned(),
            }],
            network: NetworkMode::None,
            ports: Vec::new(),
            restart: Restart::No,
            capabilities: Capabilities::Only(vec!["DAC_OVERRIDE".to_owned()]),
            input: Input::Closed,
            afterwards: Afterwards::Keep,
        };
        ctx.docker.create(&container).await?;
        let result = async {
            ctx.docker.start(name).await?;
            match ctx.docker.wait(name).await? {
                0 => Ok(()),
                code => bail!(
                    "{} ended with exit code {code}: {}",
                    self.name,
                    ctx.docker.logs(name, 5).await?.trim()
                ),
            }
        }
        .await;
        ctx.docker.remove(name).await?;
        result
    }
}
