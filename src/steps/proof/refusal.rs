//! Step: the negative proof. Every node refuses the registry with kindreg's own hosts.toml minus its CA.
//!
//! That file is in a folder of another name, because pulls by the registry's names must go on, and a killed run must
//! leave them as they were.

use anyhow::{Error, Result, anyhow};
use async_trait::async_trait;

use super::Proving;
use super::pull::Proof;
use super::verdict::lacks_ca;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::registry::Managed;
use crate::render;
use crate::spec::Spec;
use crate::step::{Ctx, Leaves, State, Step, StepId};
use crate::steps::nodes::{make_folder, remove_folders};
use crate::verdict::{Verdict, Verdicts};

/// The step that proves that all nodes refuse one registry without its CA.
#[derive(Debug)]
pub struct Refusal {
    /// The Spec that is wanted.
    pub spec: Spec,
    /// The registry that nodes must refuse.
    pub registry: Managed,
}

/// Returns the error for the first node that did not refuse because of the missing CA; `None` if all did.
fn acceptance(verdicts: &Verdicts) -> Option<Error> {
    let accepts = |(_, verdict): &(&String, &Verdict)| !lacks_ca(verdict);
    let (node, verdict) = verdicts.iter().find(accepts)?;
    let why = verdict.why().unwrap_or("pulled without the CA");
    Some(anyhow!("{node}: {why}").context(Problem::not_ready(
        format!("node {node} does not refuse the registry without its CA"),
        format!(
            "run: docker exec {node} grep -r skip_verify /etc/containerd; or look for the CA in the node's system \
             store"
        ),
    )))
}

#[async_trait]
impl Step for Refusal {
    fn id(&self) -> StepId {
        StepId::of("proof.refusal", &self.registry.registry().name)
    }

    fn title(&self) -> String {
        format!(
            "refusal of {} without its CA",
            self.registry.registry().domain()
        )
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let verified = ctx.verified(&self.registry.registry().name).await;
        Ok(match verified.without_ca {
            Some(_) => State::Ready,
            None => State::Missing,
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let registry = self.registry.registry();
        let container = Layout::of(&self.spec.cluster).registry(&registry.name);
        let folder = format!("{container}:{}", registry.port);
        let hosts = render::hosts_toml_without_ca(registry)?;
        let proof = Proof {
            spec: self.spec.clone(),
            registry: self.registry.clone(),
            when: Proving::Always,
        };
        let folders = [folder];
        let images = proof.images(ctx, &folders).await?;
        let [folder] = &folders;
        make_folder(ctx, &self.spec, folder, &hosts).await?;
        let verdicts = proof.pods().run(ctx, &images).await;
        if !ctx.lost.is_cancelled() {
            remove_folders(ctx, &self.spec, &folders).await?;
            proof.pods().remove(ctx).await?;
        }
        let verdicts = verdicts?;
        let acceptance = acceptance(&verdicts);
        ctx.note_refusals(&registry.name, verdicts).await;
        acceptance.map_or(Ok(()), Err)
    }
}
