//! `login` and `logout`: store the registries' passwords in docker's config, and remove them.

use anyhow::{Error, Result};

use super::{Client, existing_record};
use crate::credentials::RegistryCredentials;
use crate::login::LoginError;
use crate::observe::{AtHand, passwords, stored_users};
use crate::problem::Problem;
use crate::report::{LoggedIn, LoggedOut, Login};
use crate::spec::{Authentication, ClusterName, Registry, Spec};
use crate::step::Ctx;

/// The domains that docker may be logged in to, each with the credentials that kindreg gave out for it.
pub(super) type Logins = Vec<(String, Vec<RegistryCredentials>)>;

/// Logs docker in to every registry with a password that kindreg runs.
///
/// # Errors
/// There is no such cluster, a registry has no password yet, or docker's config or its helper can't store one.
pub async fn login(client: &Client, cluster: &ClusterName) -> Result<LoggedIn> {
    let spec = existing_record(client, cluster).await?.current;
    let ours = Spec {
        registries: spec.managed().cloned().collect(),
        ..spec.clone()
    };
    let passwords = passwords(client.docker(), &ours, &AtHand::new()).await?;
    let passwords = passwords.ok_or_else(|| {
        Problem::not_ready(
            format!("the registry passwords of cluster {cluster} are missing"),
            format!("run: kindreg up --name {cluster}"),
        )
    })?;
    let mut logins = Vec::new();
    for (domain, user) in &passwords {
        let place = client.docker_config().store(domain, user).await?;
        logins.push(Login {
            domain: domain.clone(),
            user: user.user().to_owned(),
            place: place.to_string(),
        });
    }
    let externals = spec.authenticated().filter(|registry| {
        matches!(
            registry.authentication(),
            Authentication::Docker | Authentication::Variables(_)
        )
    });
    Ok(LoggedIn {
        cluster: cluster.to_string(),
        rotated: false,
        logins,
        externals: externals.map(Registry::domain).collect(),
        engine_host: client.engine_host(),
    })
}

/// Removes what [`login`] stored, and nothing else.
///
/// # Errors
/// There is no such cluster, or docker may still be logged in.
pub async fn logout(client: &Client, cluster: &ClusterName) -> Result<LoggedOut> {
    let spec = existing_record(client, cluster).await?.current;
    let ctx = client.ctx(cluster);
    let logouts = forget(client, &logins(&ctx, [&spec]).await).await?;
    Ok(LoggedOut {
        cluster: cluster.to_string(),
        logouts,
    })
}

/// Returns every login that [`login`] may have stored.
pub(super) async fn logins(ctx: &Ctx, specs: impl IntoIterator<Item = &Spec>) -> Logins {
    let mut all = Vec::new();
    for spec in specs {
        for registry in spec.managed() {
            // Only a login with one of these passwords is ours.
            if let Ok(Some(users)) = stored_users(&*ctx.docker, &spec.cluster, registry).await {
                let ours: Vec<_> = std::iter::once(users.current)
                    .chain(users.retiring)
                    .collect();
                let domains = registry.domains().into_iter();
                all.extend(domains.map(|domain| (domain, ours.clone())));
            }
        }
    }
    all
}

/// Logs out of the names that earlier settings had and today's do not, as nothing answers there any more.
///
/// # Errors
/// Docker is still logged in to one of them.
pub(super) async fn forget_earlier(
    client: &Client,
    ctx: &Ctx,
    spec: &Spec,
    earlier: &[Spec],
) -> Result<()> {
    if earlier.is_empty() {
        return Ok(());
    }
    let mut left = logins(ctx, earlier).await;
    let today: Vec<String> = spec.registries.iter().flat_map(Registry::domains).collect();
    left.retain(|(domain, _)| !today.contains(domain));
    forget(client, &left).await.map(drop)
}

/// Logs out wherever possible, and returns the domains.
///
/// # Errors
/// Docker may still be logged in to some of them.
pub(super) async fn forget(client: &Client, logins: &Logins) -> Result<Vec<String>> {
    let config = client.docker_config();
    let (mut domains, mut kept, mut why) = (Vec::new(), Vec::new(), None);
    for (domain, ours) in logins {
        // A helper that hangs would hang for each of them.
        if let Some(LoginError::NoAnswer { .. }) = why {
            kept.push(domain.as_str());
            continue;
        }
        match config.erase_ours(domain, ours).await {
            Ok(true) => domains.push(domain.clone()),
            Ok(false) => {}
            Err(error) => {
                kept.push(domain.as_str());
                why.get_or_insert(error);
            }
        }
    }
    let Some(why) = why else {
        return Ok(domains);
    };
    let by_hand = kept.iter().map(|kept| format!("docker logout {kept}"));
    let by_hand: Vec<String> = by_hand.collect();
    Err(Error::from(why).context(Problem::new(
        format!("docker may still be logged in to {}", kept.join(", ")),
        format!("run: {}", by_hand.join("; ")),
    )))
}
