//! The negative proof: every node refuses the registry by a name for which it has no CA.

use anyhow::{Error, Result, anyhow};
use async_trait::async_trait;

use super::Proving;
use super::pull::Proof;
use super::verdict::lacks_ca;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::registry::Managed;
use crate::spec::Spec;
use crate::step::{Ctx, Leaves, State, Step, StepId};
use crate::steps::nodes::{make_empty, remove};
use crate::verdict::{Verdict, Verdicts};

/// The refusal by all nodes.
#[derive(Debug)]
pub struct Refusal {
    /// What is asked.
    pub spec: Spec,
    /// The registry that has to be refused.
    pub registry: Managed,
}

/// Returns the failure where a node does not refuse for want of the CA.
fn acceptance(verdicts: &Verdicts) -> Option<Error> {
    let accepts = |(_, verdict): &(&String, &Verdict)| !lacks_ca(verdict);
    let (node, verdict) = verdicts.iter().find(accepts)?;
    let why = verdict.why().unwrap_or("it pulled without the CA");
    Some(anyhow!("{node}: {why}").context(Problem::not_ready(
        format!("node {node} does not refuse a registry whose CA it lacks"),
        "look for skip_verify, or for a CA in the node's own store: \
         docker exec NODE grep -r skip_verify /etc/containerd",
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
        let folders = [format!("{container}:{}", registry.port)];
        let proof = Proof {
            spec: self.spec.clone(),
            registry: self.registry.clone(),
            when: Proving::Always,
        };
        let images = proof.images(ctx, &folders).await?;
        // Without a folder for it the mirror of all registries would be asked, which every node trusts.
        make_empty(ctx, &self.spec, &folders).await?;
        let verdicts = proof.pods().run(ctx, &images).await;
        remove(ctx, &self.spec, &folders).await?;
        proof.pods().remove(ctx).await?;
        let verdicts = verdicts?;
        let acceptance = acceptance(&verdicts);
        ctx.note_refusals(&registry.name, verdicts).await;
        acceptance.map_or(Ok(()), Err)
    }
}
