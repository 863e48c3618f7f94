//! A new password in the place of the old one, without one failed pull: both are let in until everybody has the new
//! one, and a pod on every node has pulled with it.
//!
//! Killed at any point it leaves two users who are let in, and the next rotation begins by finishing this one.

use anyhow::{Context, Result};

use crate::credentials::{RegistryCredentials, Stored};
use crate::login::DockerConfig;
use crate::plan::proof_only;
use crate::problem::Problem;
use crate::pull_secret;
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, Step};
use crate::steps::{NodeCredentials, passwords, replace_users, stored};

/// Rotates the password of one registry. The lock must be held.
pub async fn rotate(
    ctx: &Ctx,
    spec: &Spec,
    registry: &Registry,
    config: &DockerConfig,
) -> Result<()> {
    let mut users = users(ctx, spec, registry).await?;
    if users.retiring.is_some() {
        ctx.note("finishing an earlier rotation");
        users = finish(ctx, spec, registry, config, users).await?;
    }
    let next = users.rotated()?;
    replace_users(ctx, spec, registry, &next).await?;
    finish(ctx, spec, registry, config, next).await?;
    Ok(())
}

async fn users(ctx: &Ctx, spec: &Spec, registry: &Registry) -> Result<Stored> {
    let users = stored(ctx, &spec.cluster, registry).await?;
    users.with_context(|| {
        Problem::not_ready(
            format!("registry {} has no password", registry.domain()),
            format!("make it again: kindreg up --name {}", spec.cluster),
        )
    })
}

/// Hands the new user to everybody, and then lets the old one in no more.
async fn finish(
    ctx: &Ctx,
    spec: &Spec,
    registry: &Registry,
    config: &DockerConfig,
    users: Stored,
) -> Result<Stored> {
    ctx.note(format!(
        "handing {} to nodes, secrets and docker",
        users.current.user()
    ));
    NodeCredentials { spec: spec.clone() }.apply(ctx).await?;
    if let Some(passwords) = passwords(ctx, spec).await? {
        pull_secret::renew(ctx, spec, &passwords).await?;
    }
    if let Some(old) = &users.retiring {
        relogin(registry, config, old, &users.current).await?;
    }
    prove(ctx, spec, registry).await?;
    let users = users.retired();
    replace_users(ctx, spec, registry, &users).await?;
    Ok(users)
}

/// Who was logged in with the old one is so with the new one.
async fn relogin(
    registry: &Registry,
    config: &DockerConfig,
    old: &RegistryCredentials,
    new: &RegistryCredentials,
) -> Result<()> {
    for domain in registry.domains() {
        if config.has(&domain, old).await? {
            config.store(&domain, new).await?;
        }
    }
    Ok(())
}

/// A pod on every node pulls with what the nodes have now.
async fn prove(ctx: &Ctx, spec: &Spec, registry: &Registry) -> Result<()> {
    let (image, proof) = proof_only(spec, registry);
    let proven = async {
        image.apply(ctx).await?;
        proof.apply(ctx).await
    };
    let proven = proven.await;
    proven.and(image.undo(ctx).await)
}
