//! Reads of the engine host's `/etc`, which the record container mounts. Links are resolved as the host does, because
//! the engine would follow an absolute one within the container's image.

use std::collections::VecDeque;

use anyhow::{Result, anyhow};

use crate::docker::{Docker, PathKind};
use crate::layout::{self, Layout};
use crate::problem::Problem;
use crate::spec::ClusterName;

/// The most links on the way to one path, as in Linux: <https://man7.org/linux/man-pages/man7/path_resolution.7.html>.
const MAX_LINKS: usize = 40;

/// Returns where a path below the engine host's `/etc` leads, as containers that mount it see it. What is absent is
/// taken as it is written.
///
/// # Errors
/// A link leads out of `/etc`, or the engine does not answer.
pub async fn on_host(docker: &dyn Docker, cluster: &ClusterName, path: &str) -> Result<String> {
    let record = Layout::of(cluster).record();
    let mut found = Vec::new();
    let mut rest = parts(path);
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            if found.pop().is_none() {
                return Err(leaves(path));
            }
            continue;
        }
        found.push(part);
        let at = format!("{}/{}", layout::HOST_ETC, found.join("/"));
        match docker.stat(&record, &at).await? {
            Some(PathKind::Link) => {}
            Some(PathKind::Folder | PathKind::File | PathKind::Other) => continue,
            None => {
                found.extend(rest);
                break;
            }
        }
        links += 1;
        let target = link(docker, &record, &at).await?;
        found.pop();
        let mut on = parts(&target);
        if target.starts_with('/') {
            found.clear();
            if on.pop_front().as_deref() != Some("etc") {
                return Err(leaves(path));
            }
        }
        if links > MAX_LINKS {
            return Err(leaves(path));
        }
        on.append(&mut rest);
        rest = on;
    }
    Ok(format!("{}/{}", layout::HOST_ETC, found.join("/")))
}

/// Returns the target of a link, as it is written there.
async fn link(docker: &dyn Docker, record: &str, at: &str) -> Result<String> {
    let tar = docker.download(record, at).await?.unwrap_or_default();
    let target = crate::archive::link(&tar)?;
    target.ok_or_else(|| anyhow!("{at} in container {record} is no link any more"))
}

fn parts(path: &str) -> VecDeque<String> {
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.map(str::to_owned).collect()
}

fn leaves(path: &str) -> anyhow::Error {
    Problem::new(
        format!("/etc/{path} on the engine's host is a link that leads out of /etc, which kindreg does not follow"),
        "let the link lead to a folder below /etc, or remove it; or run: kindreg up --no-host-trust",
    )
    .into()
}
