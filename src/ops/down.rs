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

/// Removes a cluster. It needs no settings: what was asked for is recorded in the engine.
///
/// The failure beside the report is that docker could not be logged out: what it was logged in with is gone, so that a
/// later run can't do it.
///
/// # Errors
/// Something could not be removed; `down` again goes on.
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
    // First: what docker keeps is removed only if it is what the registry still has, and a run that is killed later could
    // not tell any more.
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
    problem::combine(failures).unwrap_or_else(|| Error::msg("nothing failed"))
}

/// Returns the Spec that is to be undone, and earlier ones; `None` where nothing is ours.
async fn wanted(client: &Client, cluster: &ClusterName) -> Result<Option<(Spec, Vec<Spec>)>> {
    match recorded(client.docker(), cluster).await {
        Ok(Some(recorded)) => return Ok(Some((recorded.current, recorded.earlier))),
        Ok(None) => {}
        // The objects themselves say what they are, as they do without a record.
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
