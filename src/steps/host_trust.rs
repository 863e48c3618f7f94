//! Trust of the engine's host, without sudo: whoever may talk to the engine may write its host's `/etc`.
//!
//! Reads go through the record's archive API; writes through a one-shot container, as an archive can neither delete
//! nor replace a file whole. Docker reads certs.d at each operation; nothing is restarted.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{below, identity, our_container};
use crate::archive::Archive;
use crate::docker::{
    Afterwards, Capabilities, ContainerSpec, Input, Mount, MountSource, NetworkMode, Restart,
};
use crate::layout::{self, Layout};
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, State, Step};

/// Name of the script that installs a file: folder, file name.
pub const INSTALL: &str = "kindreg-install";
/// Name of the script that removes a file and folders that are empty then: file, folders from the innermost.
pub const REMOVE: &str = "kindreg-remove";

/// Written beside, then renamed: a reader sees the old file or the new one, whole.
const INSTALL_SCRIPT: &str = r#"set -eu; umask 022; mkdir -p "$1"; cp /kindreg/file "$1/.$2.new"; chmod 644 "$1/.$2.new"; mv -f "$1/.$2.new" "$1/$2""#;
const REMOVE_SCRIPT: &str =
    r#"set -eu; rm -f "$1"; shift; for folder; do rmdir "$folder" 2>/dev/null || break; done"#;

/// One registry's CA in the engine host's certs.d.
#[derive(Debug)]
pub struct HostTrust {
    /// What is asked.
    pub spec: Spec,
    /// The registry.
    pub registry: Registry,
}

/// Folders that were not there before, from the innermost; kept in the record.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Made {
    folders: Vec<String>,
}

impl HostTrust {
    fn layout(&self) -> Layout {
        Layout::of(&self.spec.cluster)
    }

    /// The registry's folder of certs.d, as containers see it.
    fn folder(&self) -> String {
        format!(
            "{}/{}/{}",
            layout::HOST_ETC,
            layout::HOST_CERTS,
            self.registry.domain()
        )
    }

    fn note_file(&self) -> String {
        format!("host-trust-{}.json", self.registry.name)
    }

    /// Folders on the way that are not there yet, from the innermost.
    async fn absent(&self, ctx: &Ctx) -> Result<Vec<String>> {
        let record = self.layout().record();
        let mut absent = Vec::new();
        let mut folder = self.folder();
        while folder != layout::HOST_ETC && ctx.docker.download(&record, &folder).await?.is_none() {
            let parent = folder
                .rsplit_once('/')
                .map_or("", |(parent, _)| parent)
                .to_owned();
            absent.push(std::mem::replace(&mut folder, parent));
        }
        Ok(absent)
    }

    async fn made(&self, ctx: &Ctx) -> Result<Option<Made>> {
        let Some(tar) = ctx
            .docker
            .download(&self.layout().record(), layout::ORIGINALS)
            .await?
        else {
            return Ok(None);
        };
        match below(&tar, "originals")?.get(&self.note_file()) {
            Some(text) if !text.is_empty() => serde_json::from_slice(text)
                .map(Some)
                .context("the record can't be read"),
            _ => Ok(None),
        }
    }

    async fn note(&self, ctx: &Ctx, text: Vec<u8>) -> Result<()> {
        let archive = Archive::new()
            .file(
                format!("kindreg/originals/{}", self.note_file()),
                0o644,
                text,
            )
            .into_bytes()?;
        Ok(ctx
            .docker
            .upload(&self.layout().record(), "/", archive)
            .await?)
    }

    /// Runs a script with the host's `/etc` at hand, no network, and no right but to write where root may.
    async fn run(
        &self,
        ctx: &Ctx,
        script: &str,
        arguments: &[&str],
        file: Option<String>,
    ) -> Result<()> {
        let name = format!("{}-{}", self.layout().host_writer(), self.registry.name);
        // One of a killed run may be left.
        if our_container(&*ctx.docker, &self.layout(), &name)
            .await?
            .is_some()
        {
            ctx.docker.remove(&name).await?;
        }
        let mut command = vec!["-c".to_owned(), script.to_owned()];
        command.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let container = ContainerSpec {
            name: name.clone(),
            image: self.spec.node_image.to_string(),
            entrypoint: vec!["sh".to_owned()],
            command,
            environment: BTreeMap::new(),
            labels: self.layout().labels(),
            mounts: vec![Mount {
                source: MountSource::Host("/etc".to_owned()),
                target: layout::HOST_ETC.to_owned(),
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
            if let Some(content) = file {
                let archive = Archive::new()
                    .file("kindreg/file", 0o644, content)
                    .into_bytes()?;
                ctx.docker.upload(&name, "/", archive).await?;
            }
            ctx.docker.start(&name).await?;
            match ctx.docker.wait(&name).await? {
                0 => Ok(()),
                code => bail!(
                    "writing the engine host's /etc ended with exit code {code}: {}",
                    ctx.docker.logs(&name, 5).await?.trim()
                ),
            }
        }
        .await;
        ctx.docker.remove(&name).await?;
        result
    }
}

#[async_trait]
impl Step for HostTrust {
    fn title(&self) -> String {
        format!(
            "trust of the engine's host: /etc/{}/{}",
            layout::HOST_CERTS,
            self.registry.domain()
        )
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let record = self.layout().record();
        let file = self.layout().host_ca();
        let found = match ctx
            .docker
            .download(&record, &format!("{}/{file}", self.folder()))
            .await?
        {
            Some(tar) => crate::archive::files(&tar)?
                .remove(&file)
                .map(|file| file.content),
            None => None,
        };
        let Some(found) = found else {
            return Ok(State::Missing);
        };
        Ok(match identity(ctx, &self.spec, &self.registry).await? {
            Some(identity) if identity.ca_pem.as_bytes() == found => State::Ready,
            _ => State::Drifted(format!("{file} is another CA")),
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let identity = identity(ctx, &self.spec, &self.registry)
            .await?
            .context("the registry has no certificate yet")?;
        if self.made(ctx).await?.is_none() {
            // Before they are made: a run that is killed in between must not leave them.
            let folders = self.absent(ctx).await?;
            self.note(ctx, serde_json::to_vec(&Made { folders })?)
                .await?;
        }
        let (folder, file) = (self.folder(), self.layout().host_ca());
        self.run(
            ctx,
            INSTALL_SCRIPT,
            &[INSTALL, &folder, &file],
            Some(identity.ca_pem.clone()),
        )
        .await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        if our_container(&*ctx.docker, &self.layout(), &self.layout().record())
            .await?
            .is_none()
        {
            return Ok(());
        }
        let made = self.made(ctx).await?;
        let file = format!("{}/{}", self.folder(), self.layout().host_ca());
        let folders = made.unwrap_or_default().folders;
        let written = ctx
            .docker
            .download(&self.layout().record(), &file)
            .await?
            .is_some();
        let exists = match folders.first() {
            Some(folder) => ctx
                .docker
                .download(&self.layout().record(), folder)
                .await?
                .is_some(),
            None => false,
        };
        if written || exists {
            let mut arguments = vec![REMOVE, file.as_str()];
            arguments.extend(folders.iter().map(String::as_str));
            self.run(ctx, REMOVE_SCRIPT, &arguments, None).await?;
        }
        self.note(ctx, Vec::new()).await
    }
}
