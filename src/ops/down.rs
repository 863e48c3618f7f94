//! `down`: removes everything that `up` made, and nothing else.

use anyhow::{Error, Result};

use super::login::{forget, logins};
use super::{Client, Finished};
use crate::engine::{self, AlreadyHeld, Lock, Outcome};
use crate::lock::ContainerLock;
use crate::observe::{
    Object, RecordedSpec, Recovered, UnknownRecord, recorded, recovered, removal,
};
use crate::plan::{self, Known};
use crate::problem::{self, Problem};
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
    let removed = |outcome, kept: &[Object]| Removed {
        cluster: cluster.to_string(),
        changed: outcome == Outcome::Changed,
        kept: kept.iter().map(ToString::to_string).collect(),
    };
    let Some((spec, earlier, known)) = wanted(client, cluster).await? else {
        return Ok(Finished::without_failure(removed(Outcome::Unchanged, &[])));
    };
    let found = removal(client.docker(), &spec).await?;
    if found.removed.is_empty() {
        let report = removed(Outcome::Unchanged, &found.kept);
        return Ok(Finished::without_failure(report));
    }
    let ctx = client.ctx(cluster);
    let plan = plan::down(&spec, &earlier, known);
    // Log out first: a login is removed only if it has the password that the registry still has, and once that is gone
    // nobody can tell.
    let all = earlier.iter().chain([&spec]);
    let forgotten = forget(client, &logins(&ctx, all).await).await;
    let lock = ContainerLock::of(&spec);
    let lock: &dyn Lock = match known {
        Known::Recorded | Known::Recovered => &lock,
        // A lock is a container, for which there is no image any more.
        Known::Fragments => &AlreadyHeld,
    };
    let ended = engine::down(&plan, &ctx, lock, &|event| client.tell(event)).await;
    let outcome = match ended {
        Ok(outcome) => outcome,
        Err(error) => return Err(both(forgotten.err(), error)),
    };
    // Whatever steps say that they did, this is what is true.
    let found = removal(client.docker(), &spec).await?;
    if !found.removed.is_empty() {
        return Err(both(forgotten.err(), still_there(cluster, &found.removed)));
    }
    Ok(Finished {
        report: removed(outcome, &found.kept),
        failure: forgotten.err(),
    })
}

fn still_there(cluster: &ClusterName, remaining: &[Object]) -> Error {
    let remaining: Vec<String> = remaining.iter().map(ToString::to_string).collect();
    Problem::new(
        format!("still there: {}", remaining.join(", ")),
        format!("run: kindreg down --name {cluster}"),
    )
    .into()
}

fn both(first: Option<Error>, second: Error) -> Error {
    let failures = first.into_iter().chain([second]).collect();
    problem::combine(failures).unwrap_or_else(|| Error::msg("nothing failed"))
}

/// Returns the Spec that has to be undone, and earlier ones; `None` where nothing is ours.
async fn wanted(
    client: &Client,
    cluster: &ClusterName,
) -> Result<Option<(Spec, Vec<Spec>, Known)>> {
    match recorded(client.docker(), cluster).await {
        Ok(Some(RecordedSpec {
            current, earlier, ..
        })) => return Ok(Some((current, earlier, Known::Recorded))),
        Ok(None) => {}
        // The labels of the objects say enough, as they do without a record.
        Err(error) => match problem::find::<UnknownRecord>(&error) {
            Some(UnknownRecord::Unreadable { .. }) => {}
            Some(UnknownRecord::Newer { .. }) | None => return Err(error),
        },
    }
    let recovered = recovered(client.docker(), cluster).await?;
    Ok(recovered.map(|recovered| match recovered {
        Recovered::Containers(spec) => (spec, Vec::new(), Known::Recovered),
        Recovered::Fragments(spec) => (spec, Vec::new(), Known::Fragments),
    }))
}

/// Returns what `down` would remove from the engine, without removing anything.
///
/// # Errors
/// The engine does not answer.
pub async fn removals(client: &Client, cluster: &ClusterName) -> Result<Removals> {
    let objects = match wanted(client, cluster).await? {
        Some((spec, ..)) => removal(client.docker(), &spec).await?.removed,
        None => Vec::new(),
    };
    Ok(Removals {
        cluster: cluster.to_string(),
        removes: objects.iter().map(ToString::to_string).collect(),
    })
}
