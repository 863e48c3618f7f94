//! Step: the removal of what a step of earlier settings made.

use anyhow::Result;
use async_trait::async_trait;

use crate::step::{Ctx, Leaves, State, Step, StepId};

/// The step that removes what another step made.
#[derive(Debug)]
pub struct Retired(
    /// The step to undo.
    pub Box<dyn Step>,
);

#[async_trait]
impl Step for Retired {
    fn id(&self) -> StepId {
        self.0.id().retired()
    }

    fn title(&self) -> String {
        format!("old {}", self.0.title())
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        Ok(match self.0.check(ctx).await? {
            State::Missing => State::Ready,
            _ => State::Drifted("left from earlier settings".to_owned()),
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        self.0.undo(ctx).await
    }
}
