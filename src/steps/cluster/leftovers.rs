//! Step: objects with the cluster's label that no other step removes, such as one-shot containers of killed runs. Only
//! `down` has this step, and undoes it last but for the record.

use anyhow::Result;
use async_trait::async_trait;

use crate::layout::Layout;
use crate::observe::{Object, left};
use crate::registry::managed;
use crate::spec::{Data, Spec};
use crate::step::{Ctx, State, Step, StepId};

/// The step that removes all objects with the cluster's label.
#[derive(Debug)]
pub struct Leftovers {
    /// The Spec of the cluster.
    pub spec: Spec,
}

impl Leftovers {
    /// Returns the objects to remove. Data volumes that are kept and the lock, which this or another run holds, are
    /// left out.
    async fn found(&self, ctx: &Ctx) -> Result<Vec<Object>> {
        let layout = Layout::of(&self.spec.cluster);
        let mut spared = vec![Object::Container(layout.lock())];
        for registry in managed(&self.spec) {
            match registry.data() {
                Data::Keep => {
                    spared.push(Object::Volume(
                        layout.data_volume(&registry.registry().name),
                    ));
                }
                Data::Discard => {}
            }
        }
        let mut found = left(&*ctx.docker, &self.spec.cluster).await?;
        found.retain(|object| !spared.contains(object));
        Ok(found)
    }
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
        let found = self.found(ctx).await?;
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
        for object in self.found(ctx).await? {
            match object {
                Object::Container(name) => ctx.docker.remove(&name).await?,
                Object::Volume(name) => ctx.docker.remove_volume(&name).await?,
                Object::Network(name) => ctx.docker.remove_network(&name).await?,
            }
        }
        Ok(())
    }
}
