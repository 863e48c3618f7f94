//! Reads, merges, writes and restores kubelet's credentials file in a node.
//!
//! kubelet reads the first `config.json` that it finds, and caches it for five minutes:
//! <https://kubernetes.io/docs/concepts/containers/images/#config-json>. So our entries are merged into an existing
//! file, and kubelet is restarted if it may have read the file already.

use anyhow::{Context, Result};
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};

use crate::archive::Archive;
use crate::credentials::auths;
use crate::layout::{self, NODE_KUBELET_CONFIG as FILE};
use crate::observe::file;
use crate::problem::Problem;
use crate::step::Ctx;
use crate::symptoms::{Meaning, shows};

/// The note in the node with the original file; empty if there was none.
const ORIGINAL: &str = "kubelet-config.json";

/// The name of the script that writes kubelet's file from its standard input and restarts kubelet. Its argument is the
/// length of the file in bytes.
pub const HAND_OVER: &str = "kindreg-hand-over";
/// The name of the script that writes the file without our entries. Its argument is the length in bytes; 0 deletes the
/// file.
pub const REVOKE: &str = "kindreg-revoke";

/// The script checks the length, because an interrupted sender leaves an incomplete file. kubeadm uses the same mode
/// for the folder.
const HAND_OVER_SCRIPT: &str = r#"set -eu; umask 077; cd /var/lib; mkdir -p kubelet; cat >kubelet/config.json.new
[ "$(wc -c <kubelet/config.json.new)" = "$1" ]; mv -f kubelet/config.json.new kubelet/config.json
systemctl try-restart kubelet"#;
/// The script does not restart kubelet: its cache expires within five minutes.
const REVOKE_SCRIPT: &str = r#"set -eu; umask 077; cd /var/lib; cat >kindreg/config.json.new
[ "$(wc -c <kindreg/config.json.new)" = "$1" ]
if [ "$1" = 0 ]; then rm -f kubelet/config.json kindreg/config.json.new; else mv -f kindreg/config.json.new kubelet/config.json; fi
rm -f kindreg/kubelet-config.json"#;

/// kubelet's credentials file in one node.
#[derive(Debug)]
pub(super) struct Kubelet<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) node: &'a str,
}

impl Kubelet<'_> {
    /// Returns the content of a file in the node; `None` if there is no such file.
    async fn file(&self, folder: &str, name: &str) -> Result<Option<Bytes>> {
        file(&*self.ctx.docker, self.node, &format!("{folder}/{name}")).await
    }

    /// Returns the current file; `None` if there is none.
    pub(super) async fn present(&self) -> Result<Option<Bytes>> {
        self.file(layout::NODE_KUBELET, FILE).await
    }

    /// Returns the original file, which is empty if there was none; `None` if kindreg never changed it.
    async fn original(&self) -> Result<Option<Bytes>> {
        self.file(layout::NODE_STATE, ORIGINAL).await
    }

    /// Adds entries, and empties these notes of kindreg in the node.
    ///
    /// # Errors
    /// The current file is invalid, or the new one can't be written.
    pub(super) async fn add(&self, entries: &auths::Entries<'_>, notes: &[String]) -> Result<()> {
        let present = self.present().await?.unwrap_or_default();
        let config = auths::merged(&present, entries).with_context(|| {
            Problem::new(
                format!(
                    "can't add the registry's password to {}/{FILE} on node {}",
                    layout::NODE_KUBELET,
                    self.node
                ),
                "fix the file that your kind_config mounts there, or remove that mount",
            )
        })?;
        let mut archive = Archive::new();
        for note in notes {
            archive = archive.file(format!("var/lib/kindreg/{note}"), 0o644, "");
        }
        if self.original().await?.is_none() {
            archive = archive.file(format!("var/lib/kindreg/{ORIGINAL}"), 0o600, present);
        }
        let is_creating = self.ctx.creation.lock().await.is_some();
        if is_creating {
            // The node has no pods yet, so kubelet has not read the file.
            let config = config.expose_secret().to_owned();
            archive = archive.folder("var/lib/kubelet", 0o700).file(
                format!("var/lib/kubelet/{FILE}"),
                0o600,
                config,
            );
        }
        let archive = archive.into_bytes()?;
        let sent = self.ctx.docker.upload(self.node, "/", archive).await;
        sent.map_err(|error| self.explain(error.into()))?;
        if is_creating {
            return Ok(());
        }
        self.run(HAND_OVER_SCRIPT, HAND_OVER, &config).await
    }

    /// Returns the file without our entries for these domains; `None` if there are no such entries.
    async fn without(&self, domains: &[String]) -> Result<Option<SecretString>> {
        let (Some(present), Some(original)) = (self.present().await?, self.original().await?)
        else {
            return Ok(None);
        };
        let Ok(left) = auths::restored(&present, domains, &original) else {
            // An invalid file has no entries that kubelet can use, so restore the original.
            let original = String::from_utf8(original.to_vec()).unwrap_or_default();
            return Ok(Some(original.into()));
        };
        let left = left.unwrap_or_default();
        let same = auths::read(left.expose_secret().as_bytes()).ok() == auths::read(&present).ok();
        Ok((!same).then_some(left))
    }

    /// Returns whether the file has entries of ours for these domains.
    pub(super) async fn has(&self, domains: &[String]) -> Result<bool> {
        Ok(self.without(domains).await?.is_some())
    }

    /// Removes our entries for these domains, and keeps our other entries.
    pub(super) async fn retire(&self, domains: &[String]) -> Result<()> {
        match self.without(domains).await? {
            Some(left) => self.run(HAND_OVER_SCRIPT, HAND_OVER, &left).await,
            None => Ok(()),
        }
    }

    /// Removes all our entries, and restores the original file.
    pub(super) async fn revoke(&self, domains: &[String]) -> Result<()> {
        match self.without(domains).await? {
            Some(left) => self.run(REVOKE_SCRIPT, REVOKE, &left).await,
            None => Ok(()),
        }
    }

    /// Runs a script in the node with `content` as its standard input.
    async fn run(&self, script: &str, name: &str, content: &SecretString) -> Result<()> {
        let content = content.expose_secret().as_bytes();
        let length = content.len().to_string();
        let command = ["sh", "-c", script, name, &length];
        let output = self.ctx.docker.exec(self.node, &command, content).await?;
        if output.code == 0 {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(self.explain(anyhow::anyhow!(said.trim().to_owned())))
    }

    /// Adds the remedy for a file that is a bind mount. Such a file can't be replaced, and writing to it would change
    /// the user's file on the host.
    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let cause = error.to_string();
        let what = format!("can't write the registry's password to node {}", self.node);
        if shows(&cause, Meaning::MountedFile) {
            return error.context(Problem::new(
                what,
                format!(
                    "remove the mount of {}/{FILE} from your kind_config, or use --no-auth",
                    layout::NODE_KUBELET
                ),
            ));
        }
        error.context(what)
    }
}
