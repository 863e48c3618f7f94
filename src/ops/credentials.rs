//! Gathers the credentials that a cluster takes from the user.

use anyhow::Result;

use super::{Client, User};
use crate::credentials::RegistryCredentials;
use crate::login::missing;
use crate::observe::{self, AtHand, Held};
use crate::registry::managed;
use crate::spec::{ExternalLogin, Spec};
use crate::step::{Ctx, Stopped};

/// User and password of the user's own choice, for the registries that kindreg runs.
#[derive(Debug, Clone)]
pub struct OwnPassword(pub(crate) RegistryCredentials);

impl OwnPassword {
    /// Checks that a registry and every node can hold them.
    ///
    /// # Errors
    /// What they can't be.
    pub fn new(user: &str, password: String) -> Result<Self> {
        Ok(Self(RegistryCredentials::new(user, password)?))
    }
}

/// Returns what the user has for external registries, without asking a helper or the user.
pub(super) fn at_hand(client: &Client, spec: &Spec) -> Result<AtHand> {
    let sources = client.sources();
    let mut all = AtHand::new();
    for (registry, external) in spec.externals() {
        if external.login != ExternalLogin::Anonymous
            && let Some(found) = sources.at_hand(registry)?
        {
            all.insert(registry.name.clone(), found);
        }
    }
    Ok(all)
}

/// Gives steps all that can be had without asking a helper or the user.
///
/// # Errors
/// Of two variables one is not set, they can't be used as credentials, or docker's config can't be read.
pub(super) fn take_along(ctx: &mut Ctx, client: &Client, spec: &Spec) -> Result<()> {
    ctx.external_credentials = at_hand(client, spec)?;
    ctx.upstream_credentials = AtHand::new();
    for (registry, cache) in spec.caches() {
        if let Some(found) = client.sources().upstream(cache)? {
            ctx.upstream_credentials
                .insert(registry.name.clone(), found);
        }
    }
    Ok(())
}

/// Finds what neither the user has at hand nor the nodes hold: by a helper, or by a question.
///
/// # Errors
/// There is nothing, also for the upstream of a cache, or a helper fails.
pub(super) async fn complete(
    ctx: &mut Ctx,
    client: &Client,
    spec: &Spec,
    user: &dyn User,
) -> Result<()> {
    take_along(ctx, client, spec)?;
    // Before anybody is asked anything, and before anything is made.
    for registry in managed(spec) {
        if let Some(problem) = registry.missing_input(ctx).await? {
            return Err(problem.into());
        }
    }
    let lacking = observe::missing(&*ctx.docker, spec, &ctx.external_credentials).await?;
    for (registry, external, held) in lacking {
        let mut found = client.sources().fetch(registry).await?;
        if found.is_none()
            && let Some((user, password)) = user.credentials(&registry.domain(), &ctx.stop).await
        {
            found = Some(RegistryCredentials::given(user, password)?);
        }
        if ctx.stop.is_cancelled() {
            return Err(Stopped.into());
        }
        match (found, held) {
            (Some(found), _) => {
                ctx.external_credentials
                    .insert(registry.name.clone(), found);
            }
            // The proof says whether they are accepted today.
            (None, Held::Refused) => {}
            (None, Held::Nothing) => return Err(missing(registry, external).into()),
        }
    }
    Ok(())
}
