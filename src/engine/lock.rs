//! The lock that a run holds, as the engine sees it, and what happens if it is lost. `crate::lock` has the real one.

use std::pin::pin;

use anyhow::{Context, Result};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::problem::{AGAIN, Problem};
use crate::step::Ctx;

/// The mutex of one cluster, shared by all processes and machines that use the same engine.
#[async_trait]
pub trait Lock: Send + Sync {
    /// Waits for the lock, with a note if another process holds it. The lock is held until the returned value is
    /// dropped or released.
    async fn acquire(&self, ctx: &Ctx) -> Result<Box<dyn Held>>;
}

/// A lock that locks nothing, for a caller that already holds the real one.
#[derive(Debug, Clone, Copy)]
pub struct AlreadyHeld;

#[async_trait]
impl Lock for AlreadyHeld {
    async fn acquire(&self, _: &Ctx) -> Result<Box<dyn Held>> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl Held for AlreadyHeld {
    fn lost(&self) -> CancellationToken {
        CancellationToken::new()
    }

    async fn release(self: Box<Self>) {}
}

/// A lock that is held.
#[async_trait]
pub trait Held: Send + Sync {
    /// Returns the token that is cancelled once the lock is lost: others may acquire it.
    fn lost(&self) -> CancellationToken;

    /// Releases the lock, and returns when others can acquire it.
    async fn release(self: Box<Self>);
}

/// The error that the lock was lost while it was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its container was removed, or the engine restarted")]
pub struct LockLost;

/// Acquires a lock, does work with it, and releases it. If the lock is lost, the work is stopped.
///
/// # Errors
/// The lock could not be acquired, those of the work, or [`LockLost`] once the work has stopped.
pub async fn locked<T>(
    lock: &dyn Lock,
    ctx: &Ctx,
    work: impl AsyncFnOnce(&Ctx) -> Result<T>,
) -> Result<T> {
    let run = ctx.stopped_by(ctx.stop.child_token());
    let held = lock.acquire(&run).await?;
    let run = run.under_lock(held.lost());
    let ended = while_held(&*held, &run, work(&run)).await;
    held.release().await;
    ended
}

/// Does work of a run while it holds the lock. If the lock is lost, the run is stopped.
///
/// # Errors
/// Those of the work, or [`LockLost`] once the work has stopped.
pub(super) async fn while_held<T>(
    held: &dyn Held,
    run: &Ctx,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let lost = held.lost();
    let mut work = pin!(work);
    tokio::select! {
        biased;
        ended = &mut work => return ended,
        () = lost.cancelled() => {}
    }
    run.stop.cancel();
    // Its error follows from the stop.
    let _ = work.await;
    Err(LockLost).context(Problem::new(
        "lost the lock of the cluster; another kindreg may be changing it",
        AGAIN,
    ))
}
