//! What `up` asks before it creates a cluster: whether the engine and kind are supported, and which node image this kind
//! would choose. An `up` of a cluster that exists asks none of it.

use anyhow::Result;

use super::Client;
use crate::docker::{EngineInfo, Product};
use crate::engine::Event;
use crate::problem::Problem;
use crate::spec::request::Request;
use crate::spec::{DefaultNodeImage, KindVersion, NEWEST_KIND, OLDEST_KIND};
use crate::step::Ctx;

/// Returns the request for a new cluster, with the default node image of the installed kind unless the user set one.
///
/// # Errors
/// The engine or kind is not supported, or does not answer.
pub(super) async fn prepared(client: &Client, ctx: &Ctx, request: &Request) -> Result<Request> {
    let (kind, engine) = tokio::try_join!(version(ctx), async { Ok(ctx.docker.info().await?) })?;
    support(&engine)?;
    let image = match kind.default_node_image() {
        DefaultNodeImage::TooOld => return Err(too_old(kind).into()),
        DefaultNodeImage::Listed(image) => image,
        DefaultNodeImage::Nearest { image, of } => {
            if !request.node_image.is_given() {
                client.tell(Event::Warning(format!(
                    "this kindreg does not know the default node image of kind {kind}, and uses that of kind {of}: \
                     {image}; choose another one with --image"
                )));
            }
            image
        }
    };
    Ok(request.clone().with_default_node_image(&image))
}

async fn version(ctx: &Ctx) -> Result<KindVersion> {
    let asked = ctx.unless_stopped(ctx.kind.version());
    let Ok(version) = tokio::time::timeout(ctx.patience, asked).await else {
        return Err(Problem::new(
            format!(
                "timed out after {} s waiting for `kind version`",
                ctx.patience.as_secs()
            ),
            "wait longer with --timeout, or run: kind version",
        )
        .into());
    };
    Ok(version??)
}

fn too_old(kind: KindVersion) -> Problem {
    Problem::new(
        format!(
            "kind {kind} is too old: it can't configure containerd 2, which node images have since kind {OLDEST_KIND}"
        ),
        format!(
            "install kind {NEWEST_KIND}: https://github.com/kubernetes-sigs/kind/releases/tag/v{NEWEST_KIND}"
        ),
    )
}

/// Refuses unsupported engines.
fn support(engine: &EngineInfo) -> Result<()> {
    let name = match engine.product {
        Product::Docker => return Ok(()),
        Product::RootlessDocker => "rootless Docker",
        Product::Podman => "Podman",
    };
    Err(Problem::new(
        format!("unsupported engine: {name}"),
        "use a Docker engine that runs as root: --docker-host, DOCKER_HOST, or docker context use",
    )
    .into())
}
