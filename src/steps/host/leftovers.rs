//! Step: the CAs of a cluster in the engine host's certs.d, whatever their domains. For `down` without a readable
//! record.

use anyhow::Result;
use async_trait::async_trait;

use super::folders;
use super::one_shot::Script;
use crate::docker::{Mount, MountSource, NetworkMode};
use crate::layout::{self, Layout};
use crate::observe::on_host;
use crate::render;
use crate::spec::Spec;
use crate::step::{Ctx, State, Step, StepId};

/// The name of the script that removes our files from every folder of certs.d, and then the folders that are empty. Its
/// arguments are certs.d, the name of the CA file, the first line of a hosts.toml that is ours, and the folders that
/// kindreg created, innermost first.
pub const SWEEP: &str = "kindreg-sweep-host";
/// The script also removes a folder that had only our files, because it was created for them.
const SWEEP_SCRIPT: &str = r#"set -eu; certs=$1; name=$2; owner=$3; shift 3
for folder in "$certs"/*; do
  file=$folder/$name hosts=$folder/hosts.toml found=
  if [ -f "$hosts" ] && head -n 1 "$hosts" | grep -qxF "$owner"; then rm -f "$hosts"; found=yes; fi
  if [ -f "$file" ]; then rm -f "$file"; found=yes; fi
  if [ "$found" ]; then rmdir "$folder" 2>/dev/null || true; fi
done
for folder; do rmdir "$folder" 2>/dev/null || true; done"#;

/// The step that removes the CAs of one cluster from the engine's host.
#[derive(Debug)]
pub struct HostLeftovers {
    /// The Spec of the cluster, as recovered from its objects.
    pub spec: Spec,
}

#[async_trait]
impl Step for HostLeftovers {
    fn id(&self) -> StepId {
        StepId::new("host.leftovers")
    }

    fn title(&self) -> String {
        format!("host trust of cluster {}", self.spec.cluster)
    }

    async fn check(&self, _: &Ctx) -> Result<State> {
        // Reading the host takes a container, which a check must not create.
        Ok(State::Drifted("unknown".to_owned()))
    }

    async fn apply(&self, _: &Ctx) -> Result<()> {
        Ok(())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let layout = Layout::of(&self.spec.cluster);
        let folders = folders::noted(ctx, &self.spec.cluster)
            .await
            .unwrap_or_default();
        let certs = on_host(&*ctx.docker, &self.spec.cluster, layout::HOST_CERTS).await?;
        let name = layout.host_ca();
        let owner = render::engine_hosts_owner(&self.spec.cluster);
        let mut arguments = vec![SWEEP, certs.as_str(), name.as_str(), owner.as_str()];
        // Innermost first: a folder sorts before its content.
        arguments.extend(folders.iter().rev().map(String::as_str));
        let script = Script {
            doing: "removing CAs from the engine host's /etc",
            container: layout.host_writer(),
            mount: Some(Mount {
                source: MountSource::Host("/etc".to_owned()),
                target: layout::HOST_ETC.to_owned(),
            }),
            network: NetworkMode::None,
            text: SWEEP_SCRIPT,
            arguments: &arguments,
            files: Vec::new(),
        };
        script.run(ctx, &self.spec).await
    }
}
