//! The registries' credentials in every node, as kubelet reads them: for every namespace and service account, those to
//! come included.
//!
//! kubelet takes the first `config.json` that it finds, and remembers it for five minutes:
//! <https://kubernetes.io/docs/concepts/containers/images/#config-json>. So ours is merged into one that is there, and
//! where kubelet may have looked already, it is restarted.

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use secrecy::{ExposeSecret, SecretString};

use super::{nodes, stored};
use crate::archive::{self, Archive};
use crate::credentials::{RegistryCredentials, auths};
use crate::docker::{ContainerState, DockerError};
use crate::layout;
use crate::problem::Problem;
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, State, Step};

/// kubelet's file of credentials.
const FILE: &str = "config.json";
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

/// kubelet's credentials on all nodes.
#[derive(Debug)]
pub struct NodeCredentials {
    /// What is asked.
    pub spec: Spec,
}

/// Credentials by domain.
type Wanted = Vec<(String, RegistryCredentials)>;

fn entries(wanted: &Wanted) -> auths::Entries<'_> {
    wanted
        .iter()
        .map(|(domain, user)| (domain.clone(), user))
        .collect()
}

/// A file of a container; `None` where it is absent.
async fn file(ctx: &Ctx, node: &str, folder: &str, name: &str) -> Result<Option<Bytes>> {
    let tar = ctx
        .docker
        .download(node, &format!("{folder}/{name}"))
        .await?;
    let Some(tar) = tar else { return Ok(None) };
    let found = archive::files(&tar)?.remove(name);
    Ok(found.map(|file| file.content))
}

impl NodeCredentials {
    fn registries(&self) -> impl Iterator<Item = &Registry> {
        self.spec
            .registries
            .iter()
            .filter(|registry| registry.asks_password())
    }

    fn domains(&self) -> Vec<String> {
        self.registries().flat_map(Registry::domains).collect()
    }

    /// What every node is to have; `None` while a registry has no user.
    async fn wanted(&self, ctx: &Ctx) -> Result<Option<Wanted>> {
        let mut wanted = Vec::new();
        for registry in self.registries() {
            let Some(stored) = stored(ctx, &self.spec.cluster, registry).await? else {
                return Ok(None);
            };
            let user = |domain| (domain, stored.current.clone());
            wanted.extend(registry.domains().into_iter().map(user));
        }
        Ok(Some(wanted))
    }

    async fn state(&self, ctx: &Ctx, node: &str, wanted: &Wanted) -> Result<State> {
        let present = file(ctx, node, layout::NODE_KUBELET, FILE).await?;
        let present = present.unwrap_or_default();
        let has =
            |(domain, user): &&(String, RegistryCredentials)| auths::holds(&present, domain, user);
        let differs = wanted.iter().find(|entry| !has(entry));
        Ok(match differs {
            None => State::Ready,
            Some(_)
                if !wanted
                    .iter()
                    .any(|(domain, _)| auths::names(&present, domain)) =>
            {
                State::Missing
            }
            Some((domain, _)) => State::Drifted(format!("{node} has another password of {domain}")),
        })
    }

    async fn hand_over(&self, ctx: &Ctx, node: &str, wanted: &Wanted) -> Result<()> {
        if self.state(ctx, node, wanted).await? == State::Ready {
            return Ok(());
        }
        let present = file(ctx, node, layout::NODE_KUBELET, FILE).await?;
        let text = present.as_deref().unwrap_or_default();
        let config = auths::merged(text, &entries(wanted)).with_context(|| {
            Problem::new(
                format!(
                    "{}/{FILE} of node {node} can't take the registry's password",
                    layout::NODE_KUBELET
                ),
                "mend the file that your kind configuration puts there, or leave it out",
            )
        })?;
        // What was proven with other credentials is proven no more.
        let mut archive = Archive::new().file("var/lib/kindreg/proof", 0o644, "");
        if file(ctx, node, layout::NODE_STATE, ORIGINAL)
            .await?
            .is_none()
        {
            let original = present.clone().unwrap_or_default();
            archive = archive.file(format!("var/lib/kindreg/{ORIGINAL}"), 0o600, original);
        }
        if ctx.creation.lock().await.is_some() {
            // No pod is on the node yet, so kubelet has not looked.
            archive = archive.folder("var/lib/kubelet", 0o700).file(
                format!("var/lib/kubelet/{FILE}"),
                0o600,
                config.expose_secret().to_owned(),
            );
            let sent = ctx.docker.upload(node, "/", archive.into_bytes()?).await;
            return sent.map_err(|error| explain(error.to_string(), node));
        }
        ctx.docker.upload(node, "/", archive.into_bytes()?).await?;
        run(ctx, node, HAND_OVER_SCRIPT, HAND_OVER, &config).await
    }

    async fn revoke(&self, ctx: &Ctx, node: &str) -> Result<()> {
        let Some(present) = file(ctx, node, layout::NODE_KUBELET, FILE).await? else {
            return Ok(());
        };
        let Some(original) = file(ctx, node, layout::NODE_STATE, ORIGINAL).await? else {
            // Nothing was ever handed over.
            return Ok(());
        };
        let left = auths::restored(&present, &self.domains(), &original);
        // One that can't be read has none of our entries, and none of kubelet's.
        let left =
            left.unwrap_or_else(|_| String::from_utf8(original.to_vec()).ok().map(Into::into));
        let left = left.unwrap_or_default();
        run(ctx, node, REVOKE_SCRIPT, REVOKE, &left).await
    }
}

/// Runs a script that reads a file from its standard input.
async fn run(
    ctx: &Ctx,
    node: &str,
    script: &str,
    name: &str,
    content: &SecretString,
) -> Result<()> {
    let content = content.expose_secret().as_bytes();
    let length = content.len().to_string();
    let command = ["sh", "-c", script, name, &length];
    let output = ctx.docker.exec(node, &command, content).await?;
    if output.code == 0 {
        return Ok(());
    }
    Err(explain(
        String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        node,
    ))
}

/// A file that is mounted can't be replaced, and writing into it would change somebody's file on the host.
fn explain(cause: String, node: &str) -> anyhow::Error {
    let mounted = ["busy", "marked read-only", "Read-only file system"];
    let is_mounted = mounted.iter().any(|words| cause.contains(words));
    let error = anyhow::anyhow!(cause);
    let what = format!("node {node} can't be given the registry's password");
    if is_mounted {
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

#[async_trait]
impl Step for NodeCredentials {
    fn title(&self) -> String {
        "password in every node".to_owned()
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let found = nodes(&*ctx.docker, &self.spec).await?;
        let Some(wanted) = self.wanted(ctx).await? else {
            return Ok(State::Missing);
        };
        let states = found
            .iter()
            .map(|node| self.state(ctx, &node.name, &wanted));
        let states = try_join_all(states).await?;
        if states.iter().all(|state| *state == State::Missing) {
            return Ok(State::Missing);
        }
        let named = states
            .into_iter()
            .zip(&found)
            .find_map(|(state, node)| match state {
                State::Missing => Some(format!("{} has none", node.name)),
                State::Drifted(why) => Some(why),
                State::Ready => None,
            });
        Ok(named.map_or(State::Ready, State::Drifted))
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let Some(wanted) = self.wanted(ctx).await? else {
            bail!("a registry has no password yet");
        };
        let found = nodes(&*ctx.docker, &self.spec).await?;
        let handed = found
            .iter()
            .map(|node| self.hand_over(ctx, &node.name, &wanted));
        try_join_all(handed).await?;
        Ok(())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let found = nodes(&*ctx.docker, &self.spec).await?;
        // A node that does not run pulls nothing, and goes with the cluster.
        let running = found
            .iter()
            .filter(|node| node.state == ContainerState::Running);
        try_join_all(running.map(|node| async {
            match self.revoke(ctx, &node.name).await {
                Err(error) if !matches!(error.downcast_ref(), Some(DockerError::Gone { .. })) => {
                    Err(error)
                }
                _ => Ok(()),
            }
        }))
        .await?;
        Ok(())
    }
}
