//! `down`: removes everything that `up` made, and nothing else.

use anyhow::{Error, Result};

use super::helper::Helper;
use super::login::{forget, logins};
use super::{Client, Finished};
use crate::engine::{self, AlreadyHeld, Lock, Outcome};
use crate::layout::Layout;
use crate::lock::ContainerLock;
use crate::observe::{
    ClusterOwner, Object, Place, Recovered, StoredRecord, UnknownRecord, kind_containers, mixed,
    our_container, recovered, removal, stored,
};
use crate::plan::{self, Known};
use crate::problem::{self, Problem};
use crate::report::{Removals, Removed};
use crate::spec::{ClusterName, Spec, Target};
use crate::step::Ctx;
use crate::steps::cluster::{Record, copy_in_volumes};

pub use super::list::clusters;

/// What `down` has to undo.
struct Wanted {
    spec: Spec,
    earlier: Vec<Spec>,
    known: Known,
    /// The copy of the record, if the record itself is missing or incomplete.
    copy: Option<StoredRecord>,
}

impl From<StoredRecord> for Wanted {
    fn from(record: StoredRecord) -> Self {
        Self {
            spec: record.specs.current.clone(),
            earlier: record.specs.earlier.clone(),
            known: Known::Recorded,
            copy: (record.place == Place::Copy).then_some(record),
        }
    }
}

/// Removes a cluster. It needs no settings, because the engine has a record of it.
///
/// The failure beside the report is that docker could not be logged out, which a later run can't do, because the password
/// is gone; or that something which is not ours was left as it is.
///
/// # Errors
/// Something could not be removed; call it again to remove the rest.
pub async fn down(client: &Client, cluster: &ClusterName) -> Result<Finished<Removed>> {
    let Some(wanted) = wanted(client, cluster).await? else {
        return Ok(Finished::without_failure(unchanged(cluster, &[])));
    };
    let (docker, layout) = (client.docker(), Layout::of(cluster));
    let found = removal(docker, &wanted.spec).await?;
    // A lock alone is an `up` that has just begun, or a `down` that is about to end.
    let locked = our_container(docker, &layout, &layout.lock()).await?;
    if found.removed.is_empty() && locked.is_none() {
        return Ok(Finished::without_failure(unchanged(cluster, &found.kept)));
    }
    let ctx = client.ctx(cluster);
    let helper = Helper::find(&ctx, &wanted.spec).await?;
    let lock: Box<dyn Lock> = match &helper {
        Helper::Present(image) | Helper::Pulled(image) => {
            let (cluster, image) = (cluster.clone(), image.to_string());
            Box::new(ContainerLock { cluster, image })
        }
        // A lock is a container, for which there is no image.
        Helper::None => Box::new(AlreadyHeld),
    };
    let work = async |run: &Ctx| under_lock(client, run, cluster, &helper).await;
    let ended = engine::locked(&*lock, &ctx, work).await;
    helper.give_back(&ctx).await;
    ended
}

/// Looks again, because another run may have changed things before this one got the lock, and then removes everything.
async fn under_lock(
    client: &Client,
    ctx: &Ctx,
    cluster: &ClusterName,
    helper: &Helper,
) -> Result<Finished<Removed>> {
    let docker = client.docker();
    let Some(wanted) = under_lock_wanted(client, ctx, cluster, helper).await? else {
        return Ok(Finished::without_failure(unchanged(cluster, &[])));
    };
    let Wanted {
        spec,
        earlier,
        known,
        ..
    } = &wanted;
    let found = removal(docker, spec).await?;
    if found.removed.is_empty() {
        return Ok(Finished::without_failure(unchanged(cluster, &found.kept)));
    }
    let owner = ClusterOwner::of(cluster, &kind_containers(docker, cluster).await?);
    let plan = match &owner {
        ClusterOwner::Ours => plan::down(spec, earlier, *known),
        ClusterOwner::Foreign => plan::down_beside_foreign(spec, earlier, *known),
        ClusterOwner::Mixed(theirs) => return Err(mixed(cluster, theirs).into()),
    };
    // Log out first: a login is removed only if it has the password that the registry still has, and once that is gone
    // nobody can tell.
    let all = earlier.iter().chain([spec]);
    let forgotten = forget(client, &logins(ctx, all).await).await;
    if let Some(copy) = &wanted.copy {
        let spec = spec.clone();
        Record { spec }.rebuild(ctx, copy).await?;
    }
    let on = |event| client.tell(event);
    let ended = engine::down(&plan, ctx, &AlreadyHeld, &on).await;
    let outcome = match ended {
        Ok(outcome) => outcome,
        Err(error) => return Err(problem::after(forgotten.err(), error)),
    };
    // Whatever steps say that they did, this is what is true.
    let found = removal(docker, spec).await?;
    if !found.removed.is_empty() {
        return Err(problem::after(
            forgotten.err(),
            still_there(cluster, &found.removed),
        ));
    }
    let failures = [
        forgotten.err(),
        beside(cluster, &owner),
        helper.missing(cluster),
    ];
    Ok(Finished {
        report: Removed {
            changed: outcome == Outcome::Changed,
            ..unchanged(cluster, &found.kept)
        },
        failure: problem::combine(failures.into_iter().flatten().collect()),
    })
}

/// Returns what has to be undone, with an image that is present. If registries have left nothing but their volumes, the
/// copy of the record is read from those.
async fn under_lock_wanted(
    client: &Client,
    ctx: &Ctx,
    cluster: &ClusterName,
    helper: &Helper,
) -> Result<Option<Wanted>> {
    let Some(mut wanted) = wanted(client, cluster).await? else {
        return Ok(None);
    };
    let (Helper::Present(image) | Helper::Pulled(image)) = helper else {
        return Ok(Some(wanted));
    };
    if wanted.known != Known::Recorded {
        wanted.known = Known::Recovered;
        if let Some(copy) = copy_in_volumes(ctx, cluster, image).await? {
            wanted = copy.into();
        }
    }
    let Target::Owned(owned) = &mut wanted.spec.target;
    owned.node_image = image.clone();
    Ok(Some(wanted))
}

fn unchanged(cluster: &ClusterName, kept: &[Object]) -> Removed {
    Removed {
        cluster: cluster.to_string(),
        changed: false,
        kept: kept.iter().map(ToString::to_string).collect(),
    }
}

/// Returns the failure that says which kind cluster was left as it is.
fn beside(cluster: &ClusterName, owner: &ClusterOwner) -> Option<Error> {
    (*owner == ClusterOwner::Foreign).then(|| {
        Problem::foreign(
            format!("kind cluster {cluster} was not created by kindreg and is left as it is"),
            format!("if it is of no use, run: kind delete cluster --name {cluster}"),
        )
        .into()
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

/// Returns what has to be undone; `None` where nothing is ours.
async fn wanted(client: &Client, cluster: &ClusterName) -> Result<Option<Wanted>> {
    match stored(client.docker(), cluster).await {
        Ok(Some(record)) => return Ok(Some(record.into())),
        Ok(None) => {}
        // The labels of the objects say enough, as they do without a record.
        Err(error) => match problem::find::<UnknownRecord>(&error) {
            Some(UnknownRecord::Unreadable { .. }) => {}
            Some(UnknownRecord::Newer { .. }) | None => return Err(error),
        },
    }
    let recovered = recovered(client.docker(), cluster).await?;
    Ok(recovered.map(|recovered| {
        let (spec, known) = match recovered {
            Recovered::Containers(spec) => (spec, Known::Recovered),
            Recovered::Fragments(spec) => (spec, Known::Fragments),
        };
        Wanted {
            spec,
            earlier: Vec::new(),
            known,
            copy: None,
        }
    }))
}

/// Returns what `down` would remove from the engine, without removing anything.
///
/// # Errors
/// The engine does not answer.
pub async fn removals(client: &Client, cluster: &ClusterName) -> Result<Removals> {
    let objects = match wanted(client, cluster).await? {
        Some(wanted) => removal(client.docker(), &wanted.spec).await?.removed,
        None => Vec::new(),
    };
    Ok(Removals {
        cluster: cluster.to_string(),
        removes: objects.iter().map(ToString::to_string).collect(),
    })
}
