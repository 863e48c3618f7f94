//! The image with which `down` runs scripts and holds its lock, where the images of the cluster may be gone.

use anyhow::{Error, Result};

use crate::layout::{HOST_CERTS, Layout};
use crate::problem::Problem;
use crate::registry::managed;
use crate::spec::{ClusterName, ImageRef, Spec};
use crate::step::Ctx;

/// An image with a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Helper {
    /// It is there.
    Present(ImageRef),
    /// This run has pulled it.
    Pulled(ImageRef),
    /// There is none, and none can be pulled.
    None,
}

impl Helper {
    /// Returns the first image of a Spec that is there: that of the nodes or of a registry. If there is none, it pulls
    /// one, the smallest first.
    pub(super) async fn find(ctx: &Ctx, spec: &Spec) -> Result<Self> {
        let mut images = vec![spec.target.node_image().clone()];
        images.extend(managed(spec).flat_map(|registry| registry.images()));
        for image in &images {
            if ctx.docker.image(image.as_str()).await?.is_some() {
                return Ok(Self::Present(image.clone()));
            }
        }
        for image in images.iter().rev() {
            ctx.note(format!("pulling image {image}, to clean up with"));
            let pulled = ctx.unless_stopped(ctx.docker.pull(image.as_str())).await?;
            match pulled {
                Ok(()) => return Ok(Self::Pulled(image.clone())),
                Err(error) => ctx.trace.tell(|| error.to_string()),
            }
        }
        Ok(Self::None)
    }

    /// Removes the image if this run has pulled it. A failure leaves an image behind, as `up` does.
    pub(super) async fn give_back(&self, ctx: &Ctx) {
        if let Self::Pulled(image) = self {
            let _ = ctx.docker.remove_image(image.as_str()).await;
        }
    }

    /// Returns the failure that says what could not be removed without an image.
    pub(super) fn missing(&self, cluster: &ClusterName) -> Option<Error> {
        let file = Layout::of(cluster).host_ca();
        (*self == Self::None).then(|| {
            Problem::new(
                format!(
                    "the engine's host may still trust the registries of cluster {cluster}: there is no image to look \
                     with, and none can be pulled"
                ),
                format!("on the engine's host, run: rm -f /etc/{HOST_CERTS}/*/{file}"),
            )
            .into()
        })
    }
}
