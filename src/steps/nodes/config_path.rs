//! Step: containerd's `config_path` on every node. kind sets it in the nodes that it creates. A node that was joined
//! later has the image's own configuration; this step adds the setting and restarts containerd.

use anyhow::{Result, anyhow};
use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::foreign_settings;
use super::per_node::{PerNode, together};
use crate::archive::Archive;
use crate::observe::{Flaw, Tree, containerd_tree, nodes, setting_flaws};
use crate::problem::Problem;
use crate::render;
use crate::spec::Spec;
use crate::step::{Ctx, Leaves, State, Step, StepId};
use crate::steps::proof::invalidate_proofs;

/// The name of the script that replaces containerd's configuration and restarts containerd. Its argument is the length
/// of the file in bytes.
pub const RECONFIGURE: &str = "kindreg-reconfigure";

/// `systemctl restart` succeeds even if CRI does not load. Then kubelet has no runtime, so the script restores the old
/// file.
const RECONFIGURE_SCRIPT: &str = r#"set -eu; cd /etc/containerd; cat >config.toml.new
[ "$(wc -c <config.toml.new)" = "$1" ]
answers() {
  systemctl restart containerd || return 1
  for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    if ctr plugins ls | grep -Eq '^io\.containerd\.grpc\.v1 +cri .* ok *$'; then return 0; fi
    sleep 0.25
  done
  return 1
}
cp -p config.toml config.toml.old; mv -f config.toml.new config.toml
if answers; then rm -f config.toml.old; exit 0; fi
mv -f config.toml.old config.toml; systemctl restart containerd; echo 'CRI does not load' >&2; exit 1"#;

/// The step that sets containerd's `config_path` on all nodes.
#[derive(Debug)]
pub struct ConfigPath {
    /// The Spec that is wanted.
    pub spec: Spec,
}

/// Returns the configuration that a node should have; `None` if the current one is right.
fn wanted(tree: &Tree) -> Result<Option<String>, render::Unfit> {
    let found = tree.file("config.toml");
    let text = found.map_or_else(String::new, |text| {
        String::from_utf8_lossy(text).into_owned()
    });
    render::containerd_config(&text)
}

impl ConfigPath {
    /// Returns the state of each node; empty while kind runs, which may not have configured them yet.
    pub(crate) async fn per_node(&self, ctx: &Ctx) -> Result<PerNode> {
        if ctx.creation.lock().await.is_some() {
            return Ok(Vec::new());
        }
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?.into_iter();
        let states = found.map(|node| async move {
            let tree = containerd_tree(&*ctx.docker, &node.name).await?;
            let flaws = self.flaws(ctx, &node.name, &tree).await?;
            let flaws: Vec<String> = flaws.iter().map(ToString::to_string).collect();
            let state = match wanted(&tree) {
                Ok(None) if flaws.is_empty() => State::Ready,
                Ok(None) => State::Drifted(flaws.join(", ")),
                Ok(Some(_)) => State::Drifted("config_path not set".to_owned()),
                Err(unfit) => State::Drifted(format!("unsuitable configuration ({unfit})")),
            };
            anyhow::Ok((node.name, state))
        });
        try_join_all(states).await
    }

    /// Returns the settings that the step does not change, because somebody else wrote them.
    async fn flaws(&self, ctx: &Ctx, node: &str, tree: &Tree) -> Result<Vec<Flaw>> {
        setting_flaws(&*ctx.docker, node, tree, &self.spec.registries).await
    }

    async fn repair(&self, ctx: &Ctx, node: &str) -> Result<()> {
        let tree = containerd_tree(&*ctx.docker, node).await?;
        let config = match wanted(&tree) {
            Ok(None) => return foreign_settings(node, &self.flaws(ctx, node, &tree).await?),
            Ok(Some(config)) => config,
            Err(unfit) => return Err(explain(node, unfit.to_string())),
        };
        // A proof with another configuration is no longer valid.
        let notes = invalidate_proofs(Archive::new(), &self.spec).into_bytes()?;
        ctx.docker.upload(node, "/", notes).await?;
        let length = config.len().to_string();
        let command = ["sh", "-c", RECONFIGURE_SCRIPT, RECONFIGURE, &length];
        let output = ctx.docker.exec(node, &command, config.as_bytes()).await?;
        if output.code == 0 {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(explain(node, said))
    }
}

fn explain(node: &str, why: String) -> anyhow::Error {
    anyhow!(why).context(Problem::new(
        format!("can't set containerd's config_path on node {node}; its configuration was not changed"),
        format!("fix /etc/containerd/config.toml on the node, or run: docker exec {node} journalctl -u containerd"),
    ))
}

#[async_trait]
impl Step for ConfigPath {
    fn id(&self) -> StepId {
        StepId::new("node.containerd")
    }

    fn title(&self) -> String {
        "containerd config_path".to_owned()
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        Ok(match together(self.per_node(ctx).await?) {
            // There are no nodes to configure.
            State::Missing => State::Ready,
            found => found,
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let found = nodes(&*ctx.docker, &self.spec.cluster).await?;
        try_join_all(found.iter().map(|node| self.repair(ctx, &node.name))).await?;
        Ok(())
    }
}
