//! Decides whether an object of the engine is ours: it has the derived name and our label.

use anyhow::Result;

use crate::docker::{Container, Docker};
use crate::layout::Layout;
use crate::problem::Problem;

/// Returns the error for an object that has our name without our label. `remove` is the command that removes it.
#[must_use]
pub fn foreign(kind: &str, name: &str, remove: &str) -> anyhow::Error {
    Problem::foreign(
        format!("{kind} {name} exists and was not created by kindreg"),
        format!("choose another cluster with --name, or run: {remove}"),
    )
    .into()
}

/// Returns our container of that name; `None` if there is no container.
///
/// # Errors
/// The container is not ours, or the engine does not answer.
pub async fn our_container(
    docker: &dyn Docker,
    layout: &Layout,
    name: &str,
) -> Result<Option<Container>> {
    match docker.container(name).await? {
        Some(container) if !layout.owns(&container.labels) => {
            Err(foreign("container", name, &format!("docker rm -f {name}")))
        }
        found => Ok(found),
    }
}
