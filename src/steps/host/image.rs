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

impl Image {
    fn hint(&self) -> String {
        let otherwise = match self.reference.without_digest() {
            // An image that is loaded from a file has lost its digest: https://github.com/moby/moby/issues/22011
            Some(tagged) => format!(
                "load the image from a file with docker load and name it without its digest, as in --image {tagged}; or \
                 choose another one"
            ),
            None => "load the image from a file with docker load, or choose another one".to_owned(),
        };
        format!(
            "run: docker pull {}; or {otherwise} with --image or --registry-image",
            self.reference
        )
    }
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
                self.hint(),
            )),
            other => Ok(other?),
        }
    }
}
