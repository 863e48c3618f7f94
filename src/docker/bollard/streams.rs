//! Reads of the streams with which the engine answers, within limits.

use std::time::Duration;

use ::bollard::errors::Error;
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};

/// Reads a stream of progress to its end: the engine works only while it is read, and reports failures in it. Fails if
/// it says nothing for `stall`.
pub(super) async fn end<T>(
    stall: Duration,
    progress: impl Stream<Item = std::result::Result<T, Error>>,
) -> std::result::Result<(), Error> {
    let mut progress = std::pin::pin!(progress);
    loop {
        let next = tokio::time::timeout(stall, progress.try_next()).await;
        if next.map_err(|_| Error::RequestTimeoutError)??.is_none() {
            return Ok(());
        }
    }
}

/// Returns all bytes of a stream; `None`, and ends the stream, if there are more than `limit`.
pub(super) async fn first_bytes(
    mut chunks: impl Stream<Item = std::result::Result<Bytes, Error>> + Unpin,
    limit: usize,
) -> std::result::Result<Option<Bytes>, Error> {
    let mut all = Vec::new();
    while let Some(chunk) = chunks.try_next().await? {
        if all.len() + chunk.len() > limit {
            return Ok(None);
        }
        all.extend_from_slice(&chunk);
    }
    Ok(Some(all.into()))
}

/// Returns the last bytes of a stream, no more than `limit`.
pub(super) async fn last_bytes(
    mut chunks: impl Stream<Item = std::result::Result<Bytes, Error>> + Unpin,
    limit: usize,
) -> std::result::Result<Vec<u8>, Error> {
    let mut last = Vec::new();
    while let Some(chunk) = chunks.try_next().await? {
        last.extend_from_slice(&chunk);
        // Rarely, as each time moves what is kept.
        if last.len() > 2 * limit {
            last.drain(..last.len() - limit);
        }
    }
    last.drain(..last.len().saturating_sub(limit));
    Ok(last)
}
