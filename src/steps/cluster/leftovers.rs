//! Step: objects with the cluster's label that no other step removes, such as one-shot containers of killed runs. Only
//! `down` has this step, and undoes it last but for the record.

use anyhow::Result;
use async_trait::async_trait;

use crate::observe::{Object, removal};
use crate::spec::Spec;
use crate::step::{Ctx, State, Step, StepId};

/// The step that removes all objects with the cluster's label.
#[derive(Debug)]
pub struct Leftovers {
    /// The Spec of the cluster.
    pub spec: Spec,
}

#[async_trait]
impl Step for Leftovers {
    fn id(&self) -> StepId {
        StepId::new("cluster.leftovers")
    }

    fn title(&self) -> String {
        format!("leftovers of cluster {}", self.spec.cluster)
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let found = removal(&*ctx.docker, &self.spec).await?.removed;
        Ok(if found.is_empty() {
            State::Missing
        } else {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            State::Drifted(found.join(", "))
        })
    }

    async fn apply(&self, _: &Ctx) -> Result<()> {
        Ok(())
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        for object in removal(&*ctx.docker, &self.spec).await?.removed {
            match object {
                Object::Container(name) => ctx.docker.remove(&name).await?,
                Object::Volume(name) => ctx.docker.remove_volume(&name).await?,
                Object::Network(name) => ctx.docker.remove_network(&name).await?,
            }
        }
        Ok(())
    }
}
