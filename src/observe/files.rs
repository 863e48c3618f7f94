//! Reads of files in containers. What is there is not trusted: it may be larger than memory, or no archive that can be
//! read.

use std::collections::BTreeMap;

use anyhow::{Error, Result};
use bytes::Bytes;

use super::below;
use crate::archive;
use crate::docker::{Docker, DockerError};
use crate::problem::{Problem, Unreadable};

/// Returns the regular files below a folder of a container, by their path relative to it; `None` if the folder or the
/// container is absent.
///
/// # Errors
/// [`Unreadable`], or the engine does not answer.
pub async fn folder(
    docker: &dyn Docker,
    container: &str,
    path: &str,
) -> Result<Option<BTreeMap<String, Bytes>>> {
    let Some(tar) = download(docker, container, path).await? else {
        return Ok(None);
    };
    let files = below(&tar, name(path)).map_err(|error| unfit(container, path, &error))?;
    Ok(Some(files))
}

/// Returns a regular file of a container; `None` if the file or the container is absent, or if it is no regular file.
///
/// # Errors
/// [`Unreadable`], or the engine does not answer.
pub async fn file(docker: &dyn Docker, container: &str, path: &str) -> Result<Option<Bytes>> {
    let Some(tar) = download(docker, container, path).await? else {
        return Ok(None);
    };
    let files = archive::files(&tar).map_err(|error| unfit(container, path, &error.into()))?;
    let found = files.into_iter().find(|(found, _)| found == name(path));
    Ok(found.map(|(_, file)| file.content))
}

/// Returns a path of a container as an archive.
pub(super) async fn download(
    docker: &dyn Docker,
    container: &str,
    path: &str,
) -> Result<Option<Bytes>> {
    match docker.download(container, path).await {
        // Of another folder in the way, such as a loop of links.
        Err(error @ DockerError::Other { .. }) => {
            let why = error.to_string();
            Err(Error::from(error).context(unreadable(container, path, why)))
        }
        Err(error @ DockerError::TooLarge { .. }) => Err(unfit(container, path, &error.into())),
        found => Ok(found?),
    }
}

/// Returns the last part of a path, by which archives name it.
fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn unreadable(container: &str, path: &str, why: String) -> Unreadable {
    Unreadable {
        what: format!("{path} in container {container}"),
        why,
    }
}

/// Returns the error for something that the user may remove.
pub(super) fn unfit(container: &str, path: &str, error: &Error) -> Error {
    let cause = unreadable(container, path, error.to_string());
    Error::from(cause).context(Problem::new(
        format!("can't read {path} in container {container}"),
        format!("remove what does not belong there; run: docker cp {container}:{path} - | tar -tv"),
    ))
}
