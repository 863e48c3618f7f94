//! `login --rotate`: replaces the password without a failed pull.

use anyhow::Result;

use super::{Client, existing};
use crate::engine::{self, AlreadyHeld, Event, OnFailure};
use crate::lock::ContainerLock;
use crate::observe::stored_users;
use crate::plan;
use crate::registry::{Managed, managed};
use crate::report::Preview;
use crate::spec::{Authentication, ClusterName, Spec};
use crate::step::{Ctx, State};

/// Replaces the password of every registry with one that kindreg runs. If it is killed, the next call continues where it
/// stopped.
///
/// # Errors
/// There is no such cluster, or a step failed; both passwords work then.
pub async fn rotate(client: &Client, cluster: &ClusterName) -> Result<()> {
    let spec = existing(client, cluster).await?.current;
    let ctx = client.ctx(cluster);
    let work = async |run: &Ctx| rotate_all(client, run, cluster).await;
    engine::locked(&ContainerLock::of(&spec), &ctx, work).await
}

/// Rotates under the lock. Another run may have changed the settings before this one got it.
async fn rotate_all(client: &Client, ctx: &Ctx, cluster: &ClusterName) -> Result<()> {
    let spec = existing(client, cluster).await?.current;
    for registry in rotated(&spec) {
        rotate_one(client, ctx, &spec, &registry).await?;
    }
    Ok(())
}

/// Returns the steps of [`rotate`], without doing anything. An earlier rotation that was not finished is not among them.
///
/// # Errors
/// There is no such cluster, or the engine does not answer.
pub async fn preview_rotation(client: &Client, cluster: &ClusterName) -> Result<Preview> {
    let spec = existing(client, cluster).await?.current;
    let mut steps = Vec::new();
    for registry in rotated(&spec) {
        let plan = plan::rotate(&spec, &registry, client.docker_config());
        let states = engine::preview(&plan, &client.ctx(cluster)).await?;
        // What is ready is so with the password of today.
        let states = states.into_iter().map(|(step, state)| match state {
            State::Ready => (
                step,
                State::Drifted("depends on the new password".to_owned()),
            ),
            State::Missing | State::Drifted(_) => (step, state),
        });
        steps.extend(Preview::of(states).steps);
    }
    Ok(Preview { steps })
}

/// The registries that have a password of ours.
fn rotated(spec: &Spec) -> impl Iterator<Item = Managed> {
    managed(spec)
        .filter(|registry| registry.registry().authentication() != Authentication::Anonymous)
}

async fn rotate_one(client: &Client, ctx: &Ctx, spec: &Spec, registry: &Managed) -> Result<()> {
    let plan = plan::rotate(spec, registry, client.docker_config());
    let run = async || {
        let on = |event| client.tell(event);
        let (ctx, on_failure) = (ctx.anew(), OnFailure::RollBack(None));
        let outcome = engine::up(&plan, &ctx, &ctx.reading(), &AlreadyHeld, on_failure, &on).await;
        outcome.map(drop)
    };
    let users = stored_users(&*ctx.docker, &spec.cluster, registry.registry()).await?;
    if users.is_some_and(|users| users.retiring.is_some()) {
        client.tell(Event::Note(
            "finishing an earlier password rotation".to_owned(),
        ));
        run().await?;
    }
    run().await
}
