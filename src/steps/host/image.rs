//! Step: an image in the engine. It is pulled only if it is missing, and `down` keeps it.

use anyhow::{Context, Result};
use async_trait::async_trait;

use crate::docker::DockerError;
use crate::problem::Problem;
use crate::spec::ImageRef;
use crate::step::{Ctx, Leaves, State, Step, StepId};

/// The step that pulls one image.
#[derive(Debug)]
pub struct Image {
    /// The reference of the image.
    pub reference: ImageRef,
}

#[async_trait]
impl Step for Image {
    fn id(&self) -> StepId {
        StepId::of("host.image", &self.reference)
    }

    fn title(&self) -> String {
        format!("image {}", self.reference)
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let found = ctx.docker.image(self.reference.as_str()).await?;
        Ok(if found.is_some() {
            State::Ready
        } else {
            State::Missing
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let pulled = ctx
            .unless_stopped(ctx.docker.pull(self.reference.as_str()))
            .await?;
        match pulled {
            Err(error @ DockerError::Pull { .. }) => Err(error).context(Problem::new(
                format!("can't pull image {}", self.reference),
                format!(
                    "run: docker pull {0}; or load the image from a file with docker load, or choose another one with \
                     --image or --registry-image",
                    self.reference
                ),
            )),
            other => Ok(other?),
        }
    }
}
