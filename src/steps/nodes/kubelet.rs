//! kubelet's file of credentials in a node: read, merged, written, given back.
//!
//! kubelet takes the first `config.json` that it finds, and remembers it for five minutes:
//! <https://kubernetes.io/docs/concepts/containers/images/#config-json>. So ours is merged into one that is there, and
//! where kubelet may have looked already, it is restarted.

use anyhow::{Context, Result};
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};

use crate::archive::{self, Archive};
use crate::credentials::auths;
use crate::layout::{self, NODE_KUBELET_CONFIG as FILE};
use crate::problem::Problem;
use crate::step::Ctx;
use crate::symptoms::{Meaning, shows};

/// What stood there before, among our own notes in the node; empty where there was none.
const ORIGINAL: &str = "kubelet-config.json";

/// Name of the script that writes kubelet's file from its standard input and restarts kubelet: length of the file.
pub const HAND_OVER: &str = "kindreg-hand-over";
/// Name of the script that takes our entries out again: length of what is left, 0 where nothing is.
pub const REVOKE: &str = "kindreg-revoke";

/// The length tells a whole file from one whose sender went away. kubeadm gives the folder this mode, too.
const HAND_OVER_SCRIPT: &str = r#"set -eu; umask 077; cd /var/lib; mkdir -p kubelet; cat >kubelet/config.json.new
[ "$(wc -c <kubelet/config.json.new)" = "$1" ]; mv -f kubelet/config.json.new kubelet/config.json
systemctl try-restart kubelet"#;
/// What kubelet still remembers it forgets within five minutes.
const REVOKE_SCRIPT: &str = r#"set -eu; umask 077; cd /var/lib; cat >kindreg/config.json.new
[ "$(wc -c <kindreg/config.json.new)" = "$1" ]
if [ "$1" = 0 ]; then rm -f kubelet/config.json kindreg/config.json.new; else mv -f kindreg/config.json.new kubelet/config.json; fi
rm -f kindreg/kubelet-config.json"#;

/// kubelet's credentials in one node.
#[derive(Debug)]
pub(super) struct Kubelet<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) node: &'a str,
}

impl Kubelet<'_> {
    /// A file of the node; `None` where it is absent.
    async fn file(&self, folder: &str, name: &str) -> Result<Option<Bytes>> {
        let path = format!("{folder}/{name}");
        let Some(tar) = self.ctx.docker.download(self.node, &path).await? else {
            return Ok(None);
        };
        let found = archive::files(&tar)?.remove(name);
        Ok(found.map(|file| file.content))
    }

    /// What kubelet reads now; `None` where it finds nothing.
    pub(super) async fn present(&self) -> Result<Option<Bytes>> {
        self.file(layout::NODE_KUBELET, FILE).await
    }

    /// What it read before we came: nothing, where it is empty; `None` where we never came.
    async fn original(&self) -> Result<Option<Bytes>> {
        self.file(layout::NODE_STATE, ORIGINAL).await
    }

    /// Adds entries, and empties these notes of ours.
    pub(super) async fn add(&self, entries: &auths::Entries<'_>, notes: &[String]) -> Result<()> {
        let present = self.present().await?.unwrap_or_default();
        let config = auths::merged(&present, entries).with_context(|| {
            Problem::new(
                format!(
                    "{}/{FILE} of node {} can't take the registry's password",
                    layout::NODE_KUBELET,
                    self.node
                ),
                "mend the file that your kind configuration puts there, or leave it out",
            )
        })?;
        let mut archive = Archive::new();
        for note in notes {
            archive = archive.file(format!("var/lib/kindreg/{note}"), 0o644, "");
        }
        if self.original().await?.is_none() {
            archive = archive.file(format!("var/lib/kindreg/{ORIGINAL}"), 0o600, present);
        }
        let at_work = self.ctx.creation.lock().await.is_some();
        if at_work {
            // No pod is on the node yet, so kubelet has not looked.
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
        if at_work {
            return Ok(());
        }
        self.run(HAND_OVER_SCRIPT, HAND_OVER, &config).await
    }

    /// What is left without our entries for these domains; `None` where nothing has to change.
    async fn without(&self, domains: &[String]) -> Result<Option<SecretString>> {
        let (Some(present), Some(original)) = (self.present().await?, self.original().await?)
        else {
            return Ok(None);
        };
        let Ok(left) = auths::restored(&present, domains, &original) else {
            // One that can't be read has none of our entries, and none that kubelet would use.
            let original = String::from_utf8(original.to_vec()).unwrap_or_default();
            return Ok(Some(original.into()));
        };
        let left = left.unwrap_or_default();
        let same = auths::read(left.expose_secret().as_bytes()).ok() == auths::read(&present).ok();
        Ok((!same).then_some(left))
    }

    /// Whether it still has entries of ours for these domains.
    pub(super) async fn has(&self, domains: &[String]) -> Result<bool> {
        Ok(self.without(domains).await?.is_some())
    }

    /// Takes entries out that are no longer wanted, while others of ours stay.
    pub(super) async fn retire(&self, domains: &[String]) -> Result<()> {
        match self.without(domains).await? {
            Some(left) => self.run(HAND_OVER_SCRIPT, HAND_OVER, &left).await,
            None => Ok(()),
        }
    }

    /// Takes all our entries out, and gives back what was there before.
    pub(super) async fn revoke(&self, domains: &[String]) -> Result<()> {
        match self.without(domains).await? {
            Some(left) => self.run(REVOKE_SCRIPT, REVOKE, &left).await,
            None => Ok(()),
        }
    }

    /// Runs a script that reads a file from its standard input.
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

    /// A file that is mounted can't be replaced, and writing into it would change somebody's file on the host.
    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let cause = error.to_string();
        let what = format!("node {} can't be given the registry's password", self.node);
        if shows(&cause, Meaning::MountedFile) {
            return error.context(Problem::new(
                what,
                format!(
                    "your kind configuration mounts {}/{FILE}: take that mount out, or use --no-auth",
                    layout::NODE_KUBELET
                ),
            ));
        }
        error.context(what)
    }
}
