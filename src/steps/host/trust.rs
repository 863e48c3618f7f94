//! Step: a registry's CA in certs.d on the engine's host. It needs no sudo: who may use the engine may write the `/etc`
//! of its host.
//!
//! Reads use the archive API of the record container. Writes use a one-shot container, because the archive API can
//! neither delete a file nor replace it atomically. Docker reads certs.d at each operation, so nothing is restarted.

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;

use super::folders;
use super::one_shot::Script;
use crate::archive::Archive;
use crate::docker::{Mount, MountSource, NetworkMode};
use crate::layout::{self, Layout};
use crate::observe::{self, ca, on_host, our_container};
use crate::render;
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, State, Step, StepId};

/// The name of the script that installs files. Its arguments are the folder, the first line of a hosts.toml that is ours,
/// and the names of the files.
pub const INSTALL: &str = "kindreg-install";
/// The name of the script that removes our files from a folder, and then the folders that are empty. Its arguments are the
/// folder, the first line of a hosts.toml that is ours, the name of the CA file, and the folders, innermost first.
pub const REMOVE: &str = "kindreg-remove";

/// The script writes temporary files and renames them, so that readers see either the old or the new file. A hosts.toml of
/// somebody else stays.
const INSTALL_SCRIPT: &str = r#"set -eu; umask 022; folder=$1; owner=$2; shift 2; mkdir -p "$folder"
for name; do
  file=$folder/$name new=$folder/.$name.new
  if [ "$name" = hosts.toml ] && { [ -e "$file" ] || [ -L "$file" ]; } && ! head -n 1 "$file" | grep -qxF "$owner"; then
    continue
  fi
  cp "/kindreg/$name" "$new"; chmod 644 "$new"; mv -f "$new" "$file"
done"#;
/// hosts.toml goes first: it names the CA file, and docker fails if that is missing.
const REMOVE_SCRIPT: &str = r#"set -eu; folder=$1; owner=$2; ca=$3; shift 3; hosts=$folder/hosts.toml
if [ -f "$hosts" ] && head -n 1 "$hosts" | grep -qxF "$owner"; then rm -f "$hosts"; fi
rm -f "$folder/$ca"; for made; do rmdir "$made" 2>/dev/null || true; done"#;

/// The name under which docker on the engine's host is to trust a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostName {
    /// The registry's own domain. The CA is enough.
    Domain,
    /// `localhost:port`. The containerd image store verifies it only if a hosts.toml says so.
    Loopback,
}

/// The step that installs one registry's CA in the engine host's certs.d, for one of its names.
#[derive(Debug, Clone)]
pub struct HostTrust {
    /// The Spec that is wanted.
    pub spec: Spec,
    /// The registry.
    pub registry: Registry,
    /// The name.
    pub name: HostName,
}

impl HostTrust {
    /// Returns the steps for all names of a registry that its certificate covers.
    pub fn all(spec: &Spec, registry: &Registry) -> impl Iterator<Item = Self> {
        let loopback = registry.verified_local_domain().map(|_| HostName::Loopback);
        let names = [HostName::Domain].into_iter().chain(loopback);
        names.map(|name| Self {
            spec: spec.clone(),
            registry: registry.clone(),
            name,
        })
    }

    /// Returns the registry's domain in image references of this name.
    #[must_use]
    pub fn domain(&self) -> String {
        match self.name {
            HostName::Domain => self.registry.domain(),
            HostName::Loopback => self.registry.local_domain().unwrap_or_default(),
        }
    }

    fn layout(&self) -> Layout {
        Layout::of(&self.spec.cluster)
    }

    /// Returns the folder in certs.d, as containers see it.
    async fn folder(&self, ctx: &Ctx) -> Result<String> {
        let path = format!("{}/{}", layout::HOST_CERTS, self.domain());
        on_host(&*ctx.docker, &self.spec.cluster, &path).await
    }

    /// Returns the name and content of each file, the CA first because hosts.toml names it.
    fn files(&self, ca_pem: String) -> Result<Vec<(String, String)>> {
        let ca = self.layout().host_ca();
        let mut files = vec![(ca.clone(), ca_pem)];
        match self.name {
            HostName::Domain => {}
            HostName::Loopback => files.push((
                layout::HOSTS_TOML.to_owned(),
                render::engine_hosts_toml(&self.spec.cluster, &self.domain(), Some(&ca))?,
            )),
        }
        Ok(files)
    }

    /// Returns a file that is there; `None` if it is absent, or somebody else's.
    async fn ours(&self, ctx: &Ctx, folder: &str, name: &str) -> Result<Option<Bytes>> {
        let path = format!("{folder}/{name}");
        let found = observe::file(&*ctx.docker, &self.layout().record(), &path).await?;
        Ok(found.filter(|found| {
            name != layout::HOSTS_TOML || render::is_engine_hosts_of(&self.spec.cluster, found)
        }))
    }

    /// Returns the names of the files that may be ours.
    fn names(&self) -> Vec<String> {
        let mut names = vec![self.layout().host_ca()];
        match self.name {
            HostName::Domain => {}
            HostName::Loopback => names.push(layout::HOSTS_TOML.to_owned()),
        }
        names
    }

    /// Returns whether something of the path is on the host.
    async fn exists(&self, ctx: &Ctx, path: &str) -> Result<bool> {
        folders::exists(ctx, &self.spec.cluster, path).await
    }

    /// Writes the hosts.toml without the CA, into a folder where nothing is ours yet. Docker must refuse the registry with
    /// it.
    pub(crate) async fn install_without_ca(&self, ctx: &Ctx) -> Result<()> {
        let (cluster, folder) = (&self.spec.cluster, self.folder(ctx).await?);
        folders::note(ctx, cluster, &folder).await?;
        let text = render::engine_hosts_toml(cluster, &self.domain(), None)?;
        // The archive must not name folders that exist: docker would set their mode.
        let absent = folders::absent(ctx, cluster, &folder).await?;
        let parent = |folder: &String| folder.rsplit_once('/').map(|(parent, _)| parent.to_owned());
        let existing = absent.first().and_then(parent).unwrap_or(folder.clone());
        let below = folder.strip_prefix(&existing).unwrap_or_default();
        let path = format!("{below}/{}", layout::HOSTS_TOML);
        // A new file needs no rename, and so no container that starts.
        let archive = Archive::new()
            .file(path.trim_start_matches('/'), 0o644, text)
            .into_bytes()?;
        let record = self.layout().record();
        Ok(ctx.docker.upload(&record, &existing, archive).await?)
    }

    /// Runs a script in a one-shot container that mounts the host's `/etc`.
    async fn run(
        &self,
        ctx: &Ctx,
        script: &str,
        arguments: &[&str],
        files: Vec<(String, String)>,
    ) -> Result<()> {
        let name = format!("{}-{}", self.layout().host_writer(), self.registry.name);
        let script = Script {
            doing: "writing to /etc of the engine's host",
            container: name,
            mount: Some(Mount {
                source: MountSource::Host("/etc".to_owned()),
                target: layout::HOST_ETC.to_owned(),
            }),
            network: NetworkMode::None,
            text: script,
            arguments,
            files,
        };
        script.run(ctx, &self.spec).await
    }
}

#[async_trait]
impl Step for HostTrust {
    fn id(&self) -> StepId {
        StepId::of("host.trust", self.domain())
    }

    fn title(&self) -> String {
        format!("host trust (/etc/{}/{})", layout::HOST_CERTS, self.domain())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let folder = self.folder(ctx).await?;
        let mut present = Vec::new();
        for name in self.names() {
            let found = self.ours(ctx, &folder, &name).await?;
            present.extend(found.map(|content| (name, content)));
        }
        let file = self.layout().host_ca();
        if present.is_empty() {
            let made = folders::noted(ctx, &self.spec.cluster).await?;
            return Ok(
                if made.contains(&folder) && self.exists(ctx, &folder).await? {
                    State::Drifted(format!("{file} is missing"))
                } else {
                    State::Missing
                },
            );
        }
        let Some(ca_pem) = ca(&*ctx.docker, &self.spec.cluster, &self.registry).await? else {
            return Ok(State::Drifted(format!("{file} has another CA")));
        };
        for (name, wanted) in self.files(ca_pem)? {
            match present.iter().find(|(found, _)| *found == name) {
                Some((_, found)) if found == wanted.as_bytes() => {}
                Some(_) if name == file => {
                    return Ok(State::Drifted(format!("{name} has another CA")));
                }
                Some(_) => return Ok(State::Drifted(format!("{name} differs"))),
                // One of somebody else stays.
                None if self.exists(ctx, &format!("{folder}/{name}")).await? => {}
                None => return Ok(State::Drifted(format!("{name} is missing"))),
            }
        }
        Ok(State::Ready)
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let ca_pem = ca(&*ctx.docker, &self.spec.cluster, &self.registry)
            .await?
            .context("the registry has no certificate yet")?;
        let folder = self.folder(ctx).await?;
        folders::note(ctx, &self.spec.cluster, &folder).await?;
        let files = self.files(ca_pem)?;
        let owner = render::engine_hosts_owner(&self.spec.cluster);
        let mut arguments = vec![INSTALL, folder.as_str(), owner.as_str()];
        let names = self.names();
        arguments.extend(names.iter().map(String::as_str));
        self.run(ctx, INSTALL_SCRIPT, &arguments, files).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let (layout, cluster) = (self.layout(), &self.spec.cluster);
        if our_container(&*ctx.docker, &layout, &layout.record())
            .await?
            .is_none()
        {
            return Ok(());
        }
        let folder = self.folder(ctx).await?;
        let made = folders::noted(ctx, cluster).await?;
        let mut left = made.contains(&folder);
        for name in self.names() {
            left |= self.ours(ctx, &folder, &name).await?.is_some();
        }
        if left {
            let (owner, ca) = (render::engine_hosts_owner(cluster), layout.host_ca());
            let mut arguments = vec![REMOVE, folder.as_str(), owner.as_str(), ca.as_str()];
            // Innermost first: a folder sorts before its content.
            arguments.extend(made.iter().rev().map(String::as_str));
            self.run(ctx, REMOVE_SCRIPT, &arguments, Vec::new()).await?;
        }
        folders::forget_removed(ctx, cluster, made).await
    }
}
