//! Reads of the streams with which the engine answers, within limits.

use std::collections::HashMap;
use std::time::Duration;

use ::bollard::errors::Error;
use ::bollard::models::CreateImageInfo;
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

/// The bytes of an image that must arrive within each time limit.
const LEAST: i64 = 1 << 20;

/// What arrives of an image.
#[derive(Debug, Default)]
struct Arrival {
    /// The bytes of each layer so far.
    layers: HashMap<String, i64>,
    /// All bytes when the time began to run.
    before: i64,
}

impl Arrival {
    /// Takes an event, and returns whether enough has happened for the time to run anew. Everything but a slow download
    /// is: the engine waits for nobody while it unpacks.
    fn is_enough(&mut self, event: &CreateImageInfo) -> bool {
        if event.status.as_deref() != Some("Downloading") {
            return true;
        }
        let current = event.progress_detail.as_ref().and_then(|it| it.current);
        if let (Some(layer), Some(current)) = (&event.id, current) {
            self.layers.insert(layer.clone(), current);
        }
        let all = self.layers.values().sum();
        if all - self.before < LEAST {
            return false;
        }
        self.before = all;
        true
    }
}

/// Reads the progress of a pull to its end. Fails if less than 1 MiB arrives within `limit`: a registry that sends a byte
/// a second would take for ever, and a big image over a slow line may take longer than any limit.
pub(super) async fn pulled(
    limit: Duration,
    progress: impl Stream<Item = std::result::Result<CreateImageInfo, Error>>,
) -> std::result::Result<(), Error> {
    let mut progress = std::pin::pin!(progress);
    let mut arrival = Arrival::default();
    loop {
        let enough = async {
            while let Some(event) = progress.try_next().await? {
                if arrival.is_enough(&event) {
                    return Ok::<_, Error>(true);
                }
            }
            Ok(false)
        };
        let enough = tokio::time::timeout(limit, enough).await;
        let slow = |_| Error::DockerStreamError {
            error: format!("less than 1 MiB arrived within {} s", limit.as_secs()),
        };
        if !enough.map_err(slow)?? {
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
