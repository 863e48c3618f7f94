//! A step of earlier settings, turned round: what it made is to be gone.

use anyhow::Result;
use async_trait::async_trait;

use crate::step::{Ctx, Leaves, State, Step};

/// The absence of what a step makes.
#[expect(
    missing_debug_implementations,
    reason = "a step shows itself by its title"
)]
pub struct Retired(
    /// The step.
    pub Box<dyn Step>,
);

#[async_trait]
impl Step for Retired {
    fn title(&self) -> String {
        format!("removal: {}", self.0.title())
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

    async fn undo(&self, _: &Ctx) -> Result<()> {
        Ok(())
    }
}
