//! `down`: removes everything that `up` made, and nothing else.

use anyhow::{Error, Result};

use super::login::{forget, logins};
use super::{Client, Finished};
use crate::engine::{self, Outcome};
use crate::lock::ContainerLock;
use crate::observe::{self, UnknownRecord, recorded, recovered};
use crate::plan;
use crate::problem;
use crate::report::{Removals, Removed};
use crate::spec::{ClusterName, Spec};

pub use super::list::clusters;

/// Removes a cluster. It needs no settings, because the engine has a record of it.
///
/// The failure beside the report is that docker could not be logged out. A later run can't do that, because the password
/// is gone.
///
/// # Errors
/// Something could not be removed; call it again to remove the rest.
pub async fn down(client: &Client, cluster: &ClusterName) -> Result<Finished<Removed>> {
    let removed = |outcome| Removed {
        cluster: cluster.to_string(),
        changed: outcome == Outcome::Changed,
    };
    let Some((spec, earlier)) = wanted(client, cluster).await? else {
        return Ok(Finished::without_failure(removed(Outcome::Unchanged)));
    };
    let ctx = client.ctx(cluster);
    let plan = plan::down(&spec, &earlier);
    // Log out first: a login is removed only if it has the password that the registry still has, and once that is gone
    // nobody can tell.
    let all = earlier.iter().chain([&spec]);
    let forgotten = forget(client, &logins(&ctx, all).await).await;
    let lock = ContainerLock::of(&spec);
    let ended = engine::down(&plan, &ctx, &lock, &|event| client.tell(event)).await;
    match ended {
        Ok(outcome) => Ok(Finished {
            report: removed(outcome),
            failure: forgotten.err(),
        }),
        Err(error) => Err(both(forgotten.err(), error)),
    }
}

fn both(first: Option<Error>, second: Error) -> Error {
    let failures = first.into_iter().chain([second]).collect();
    problem::together(failures).unwrap_or_else(|| Error::msg("nothing failed"))
}

/// Returns the Spec to undo, and earlier ones; `None` if there is nothing of ours.
async fn wanted(client: &Client, cluster: &ClusterName) -> Result<Option<(Spec, Vec<Spec>)>> {
    match recorded(client.docker(), cluster).await {
        Ok(Some(recorded)) => return Ok(Some((recorded.current, recorded.earlier))),
        Ok(None) => {}
        // The labels of the objects say enough, as they do without a record.
        Err(error) => match problem::find::<UnknownRecord>(&error) {
            Some(UnknownRecord::Unreadable { .. }) => {}
            Some(UnknownRecord::Newer { .. }) | None => return Err(error),
        },
    }
    let recovered = recovered(client.docker(), cluster).await?;
    Ok(recovered.map(|spec| (spec, Vec::new())))
}

/// Returns what `down` would remove from the engine, without removing anything.
///
/// # Errors
/// The engine does not answer.
pub async fn removals(client: &Client, cluster: &ClusterName) -> Result<Removals> {
    wanted(client, cluster).await?;
    let objects = observe::left(client.docker(), cluster).await?;
    Ok(Removals {
        cluster: cluster.to_string(),
        removes: objects.iter().map(ToString::to_string).collect(),
    })
}
