//! CAs of a cluster in the engine host's certs.d, for a `down` that does not know for which domains they are: the record
//! is lost or can't be read.

use anyhow::Result;
use async_trait::async_trait;

use super::one_shot::Script;
use super::trust::noted_folders;
use crate::docker::{Mount, MountSource};
use crate::layout::{self, Layout};
use crate::spec::Spec;
use crate::step::{Ctx, State, Step, StepId};

/// Name of the script that removes a file from every folder of certs.d, and folders that are empty then: certs.d, file,
/// folders that kindreg made from the innermost.
pub const SWEEP: &str = "kindreg-sweep-host";
/// A folder that held nothing but our file was made for it.
const SWEEP_SCRIPT: &str = r#"set -eu; certs=$1; name=$2; shift 2
for file in "$certs"/*/"$name"; do
  [ -f "$file" ] || continue
  rm -f "$file"; rmdir "${file%/*}" 2>/dev/null || true
done
for folder; do rmdir "$folder" 2>/dev/null || true; done"#;

/// The CAs that are left.
#[derive(Debug)]
pub struct HostLeftovers {
    /// The cluster, as far as its objects tell.
    pub spec: Spec,
}

#[async_trait]
impl Step for HostLeftovers {
    fn id(&self) -> StepId {
        StepId::new("host.leftovers")
    }

    fn title(&self) -> String {
        format!("CAs of cluster {} on the engine's host", self.spec.cluster)
    }

    async fn check(&self, _: &Ctx) -> Result<State> {
        // Looking takes a container, which a check must not make.
        Ok(State::Drifted("not known".to_owned()))
    }

    async fn apply(&self, _: &Ctx) -> Result<()> {
        Ok(())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let layout = Layout::of(&self.spec.cluster);
        let folders = noted_folders(ctx, &layout.record())
            .await
            .unwrap_or_default();
        let certs = format!("{}/{}", layout::HOST_ETC, layout::HOST_CERTS);
        let name = layout.host_ca();
        let mut arguments = vec![SWEEP, certs.as_str(), name.as_str()];
        // Innermost first: a folder sorts before what is in it.
        arguments.extend(folders.iter().rev().map(String::as_str));
        let script = Script {
            doing: "removing CAs from the engine host's /etc",
            container: layout.host_writer(),
            mount: Some(Mount {
                source: MountSource::Host("/etc".to_owned()),
                target: layout::HOST_ETC.to_owned(),
            }),
            network: None,
            text: SWEEP_SCRIPT,
            arguments: &arguments,
            file: None,
        };
        script.run(ctx, &self.spec).await
    }
}
