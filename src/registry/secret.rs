//! Writes to a registry's secret volume through its container, which need not be running.

use anyhow::Result;

use super::Driver;
use crate::archive::Archive;
use crate::layout;
use crate::step::Ctx;

/// The seconds that a registry has to finish its responses before it is killed.
pub const GRACE: u32 = 5;

/// Writes files into the secret volume.
///
/// # Errors
/// The container is missing, or the engine refuses.
pub async fn put(ctx: &Ctx, registry: &dyn Driver, files: Archive) -> Result<()> {
    let files = files.into_bytes()?;
    let container = registry.container_name();
    Ok(ctx.docker.upload(&container, layout::SECRET, files).await?)
}

/// Stops the registry and writes files into its secret volume that it reads only at start.
///
/// # Errors
/// The container is missing, or the engine refuses.
pub async fn put_stopped(ctx: &Ctx, registry: &dyn Driver, files: Archive) -> Result<()> {
    ctx.docker.stop(&registry.container_name(), GRACE).await?;
    put(ctx, registry, files).await
}

/// Overwrites files in the secret volume with empty ones, because the archive API can't delete. Without a container it
/// does nothing.
///
/// # Errors
/// The engine refuses.
pub async fn clear(ctx: &Ctx, registry: &dyn Driver, empty: Archive) -> Result<()> {
    let container = registry.container_name();
    match ctx.docker.container(&container).await? {
        Some(_) => put(ctx, registry, empty).await,
        None => Ok(()),
    }
}
