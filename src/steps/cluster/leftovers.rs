//! What is left with the cluster's label after all else was removed: one-shot containers of killed runs, and what no plan
//! names. For `down` alone, which undoes it last.

use anyhow::Result;
use async_trait::async_trait;

use crate::layout::Layout;
use crate::observe::{Object, left};
use crate::registry::managed;
use crate::spec::{Data, Spec};
use crate::step::{Ctx, State, Step, StepId};

/// Everything with the cluster's label.
#[derive(Debug)]
pub struct Leftovers {
    /// The cluster.
    pub spec: Spec,
}

impl Leftovers {
    /// Returns what has to go: not the data that are kept, and not the lock, which is ours or another run's.
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
