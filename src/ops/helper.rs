//! The image with which `down` runs scripts and holds its lock, where the images of the cluster may be gone.

use anyhow::{Error, Result};

use crate::docker::NetworkMode;
use crate::layout::{HOST_CERTS, Layout};
use crate::problem::Problem;
use crate::registry::managed;
use crate::render::engine_hosts_owner;
use crate::spec::{ClusterName, ImageRef, Spec, Target};
use crate::step::{Ctx, Stopped};
use crate::steps::host::Script;

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

/// The name of the script that does nothing, to learn whether an image has a shell.
pub const TRY: &str = "kindreg-try";

impl Helper {
    /// Returns the first image of a Spec that is there: that of the nodes, or that of a registry with a shell. If there
    /// is none, it pulls one, the smallest first.
    pub(super) async fn find(ctx: &Ctx, spec: &Spec) -> Result<Self> {
        let node = spec.target.node_image();
        let registries = managed(spec).flat_map(|registry| registry.images());
        let mut images: Vec<ImageRef> = registries.collect();
        images.insert(0, node.clone());
        for image in &images {
            if ctx.docker.image(image.as_str()).await?.is_some()
                && (image == node || has_shell(ctx, spec, image).await?)
            {
                return Ok(Self::Present(image.clone()));
            }
        }
        for image in images.iter().rev() {
            if ctx.docker.image(image.as_str()).await?.is_some() {
                continue;
            }
            ctx.note(format!("pulling image {image}, to clean up with"));
            let pulled = ctx.unless_stopped(ctx.docker.pull(image.as_str())).await?;
            let helper = Self::Pulled(image.clone());
            match pulled {
                Ok(()) if image == node || has_shell(ctx, spec, image).await? => return Ok(helper),
                Ok(()) => helper.give_back(ctx).await,
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
        let owner = engine_hosts_owner(cluster);
        (*self == Self::None).then(|| {
            Problem::new(
                format!(
                    "the engine's host may still trust the registries of cluster {cluster}: there is no image to look \
                     with, and none can be pulled"
                ),
                format!(
                    "on the engine's host, run: rm -f /etc/{HOST_CERTS}/*/{file}; grep -lxF '{owner}' \
                     /etc/{HOST_CERTS}/*/hosts.toml | xargs -r rm"
                ),
            )
            .into()
        })
    }
}

/// Returns whether scripts run in containers of an image. Those of registries need no shell.
async fn has_shell(ctx: &Ctx, spec: &Spec, image: &ImageRef) -> Result<bool> {
    let mut spec = spec.clone();
    let Target::Owned(owned) = &mut spec.target;
    owned.node_image = image.clone();
    let script = Script {
        doing: "looking for a shell",
        container: Layout::of(&spec.cluster).helper(),
        mount: None,
        network: NetworkMode::None,
        text: "exit 0",
        arguments: &[TRY],
        files: Vec::new(),
    };
    let ran = script.run(ctx, &spec).await;
    if ctx.stop.is_cancelled() {
        return Err(Stopped.into());
    }
    Ok(ran.is_ok())
}
