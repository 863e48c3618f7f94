//! Gathers the credentials that the user has for the registries of a cluster.

use anyhow::Result;

use super::{Client, User};
use crate::credentials::RegistryCredentials;
use crate::login::missing;
use crate::observe::{self, AtHand, Held};
use crate::registry::managed;
use crate::spec::{ExternalLogin, Spec};
use crate::step::{Ctx, Stopped};

/// A user name and password that the user chose, for the registries that kindreg runs.
#[derive(Debug, Clone)]
pub struct OwnPassword(pub(crate) RegistryCredentials);

impl OwnPassword {
    /// Checks that registries and nodes can store them.
    ///
    /// # Errors
    /// They contain what can't be stored.
    pub fn new(user: &str, password: String) -> Result<Self> {
        Ok(Self(RegistryCredentials::new(user, password)?))
    }
}

/// Returns the user's credentials for external registries, without asking a helper or the user.
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

/// Puts the user's credentials into the context, without asking a helper or the user.
///
/// # Errors
/// One of two variables is not set, they can't be used as credentials, or docker's config can't be read.
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

/// Puts all credentials into the context that are needed and that nodes lack; asks a helper, then the user.
///
/// # Errors
/// Credentials are missing, also those for the upstream of a cache, or a helper fails.
pub(super) async fn complete(
    ctx: &mut Ctx,
    client: &Client,
    spec: &Spec,
    user: &dyn User,
) -> Result<()> {
    take_along(ctx, client, spec)?;
    // Checked before the user is asked, and before anything is created.
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
