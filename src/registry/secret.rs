//! Writes to the secret volume of a registry, through its container in whatever state that is.

use anyhow::Result;

use super::Driver;
use crate::archive::Archive;
use crate::layout;
use crate::step::Ctx;

/// Seconds that a registry gets to finish what it is sending before it is stopped.
pub const GRACE: u32 = 5;

/// Puts files into the secret volume.
///
/// # Errors
/// The container is missing, or the engine refuses.
pub async fn put(ctx: &Ctx, registry: &dyn Driver, files: Archive) -> Result<()> {
    let files = files.into_bytes()?;
    let container = registry.container_name();
    Ok(ctx.docker.upload(&container, layout::SECRET, files).await?)
}

/// Puts files into the secret volume that the registry reads at start only: it must not run on with others.
///
/// # Errors
/// The container is missing, or the engine refuses.
pub async fn put_stopped(ctx: &Ctx, registry: &dyn Driver, files: Archive) -> Result<()> {
    ctx.docker.stop(&registry.container_name(), GRACE).await?;
    put(ctx, registry, files).await
}

/// Puts emptied files into the secret volume, if there is a container: an archive can't delete.
///
/// # Errors
/// The engine refuses.
pub async fn take_back(ctx: &Ctx, registry: &dyn Driver, empty: Archive) -> Result<()> {
    let container = registry.container_name();
    match ctx.docker.container(&container).await? {
        Some(_) => put(ctx, registry, empty).await,
        None => Ok(()),
    }
}
