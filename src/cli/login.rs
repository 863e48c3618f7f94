//! `kindreg login` and `kindreg logout`.

use anyhow::{Error, Result};
use clap::Args;
use serde_json::json;

use super::credentials::docker_config;
use super::session::Session;
use super::{Shared, status};
use crate::credentials::RegistryCredentials;
use crate::engine::Lock;
use crate::lock::ContainerLock;
use crate::problem::{Exit, Problem};
use crate::rotation::rotate;
use crate::spec::{Registry, Spec};
use crate::step::Ctx;
use crate::steps;
use crate::ui::Printer;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg login && docker push localhost:5001/my/image\n  \
    kindreg login --rotate\n\n\
    The password goes where `docker login` puts it: to the credential helper that docker's config names, or into \
    the config. docker, crane, skopeo, oras and helm read it there. `kindreg down` logs out again.")]
pub(super) struct Arguments {
    /// Make a new password first, hand it to nodes, secrets and docker, and let the old one in no more
    #[arg(long, env = "KINDREG_ROTATE")]
    rotate: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kindreg logout\n\n\
    It forgets what `kindreg login` stored, and nothing else.")]
pub(super) struct LogoutArguments {}

async fn asked(session: &Session, shared: &Shared) -> Result<Spec> {
    let asked = steps::asked(&*session.docker, &shared.name).await?;
    Ok(asked.ok_or_else(|| status::nothing(shared))?.current)
}

pub(super) async fn run(shared: &Shared, arguments: &Arguments, printer: Printer) -> Result<Exit> {
    let session = Session::open(shared, printer).await?;
    let spec = asked(&session, shared).await?;
    let config = docker_config();
    if arguments.rotate {
        let held = ContainerLock::of(&spec).acquire(&session.ctx).await?;
        let registries = spec.ours().filter(|one| one.asks_password());
        let mut ended = Ok(());
        for registry in registries {
            ended = rotate(&session.ctx, &spec, registry, &config).await;
            if ended.is_err() {
                break;
            }
        }
        held.release().await;
        session.progress.end();
        if let Err(error) = ended {
            return session.failed(
                error,
                "both passwords are let in; `kindreg login --rotate` goes on",
            );
        }
    }
    let ours = spec.without_externals();
    let passwords = steps::passwords(&session.ctx, &ours)
        .await?
        .ok_or_else(|| {
            Problem::not_ready(
                "the registry has no password yet",
                format!("make it: kindreg up --name {}", spec.cluster),
            )
        })?;
    let mut stored = Vec::new();
    for (domain, user) in &passwords {
        let place = config.store(domain, user).await?;
        stored.push((domain, user.user(), place));
    }
    if shared.json {
        let logins: Vec<_> = stored
            .iter()
            .map(|(domain, user, place)| json!({"domain": domain, "user": user, "place": place.to_string()}))
            .collect();
        printer.out(
            &json!({"cluster": spec.cluster, "rotated": arguments.rotate, "logins": logins})
                .to_string(),
        );
        return Ok(Exit::Done);
    }
    for registry in spec.externals().filter(|one| one.asks_password()) {
        let domain = registry.domain();
        printer.say(&format!(
            "{domain} is external and keeps its own logins; docker's is: docker login {domain}"
        ));
    }
    if stored.is_empty() {
        printer.out(&format!(
            "Nothing to do: no registry that cluster {} runs asks for a password.",
            spec.cluster
        ));
    }
    for (domain, user, place) in stored {
        printer.out(&format!("Logged in to {domain} as {user}; kept in {place}"));
    }
    Ok(Exit::Done)
}

/// `kindreg logout`.
pub(super) async fn logout(shared: &Shared, _: &LogoutArguments, printer: Printer) -> Result<Exit> {
    let session = Session::open(shared, printer).await?;
    let spec = asked(&session, shared).await?;
    let domains = forget(&logins(&session.ctx, [&spec]).await).await?;
    if shared.json {
        printer.out(&json!({"cluster": spec.cluster, "logouts": domains}).to_string());
    } else if domains.is_empty() {
        printer.out("Nothing to do: docker is not logged in with a password of this cluster.");
    }
    for domain in domains.iter().filter(|_| !shared.json) {
        printer.out(&format!("Logged out of {domain}"));
    }
    Ok(Exit::Done)
}

/// Everything that `login` may have stored: each domain with the users that were ever handed out for it.
pub(super) async fn logins(
    ctx: &Ctx,
    specs: impl IntoIterator<Item = &Spec>,
) -> Vec<(String, Vec<RegistryCredentials>)> {
    let mut all = Vec::new();
    for spec in specs {
        for registry in spec.ours().filter(|one| one.asks_password()) {
            // Without them there is nothing to compare with, and so nothing that is surely ours.
            if let Ok(Some(users)) = steps::stored(ctx, &spec.cluster, registry).await {
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

/// Logs out of names that earlier settings had and today's do not: nothing answers there any more.
///
/// # Errors
/// Docker is still logged in to one of them.
pub(super) async fn forget_earlier(ctx: &Ctx, spec: &Spec, earlier: &[Spec]) -> Result<()> {
    if earlier.is_empty() {
        return Ok(());
    }
    let mut left = logins(ctx, earlier).await;
    let today: Vec<String> = spec.registries.iter().flat_map(Registry::domains).collect();
    left.retain(|(domain, _)| !today.contains(domain));
    forget(&left).await.map(drop)
}

/// Logs out of all that can be, and gives what that was.
///
/// # Errors
/// Docker may still be logged in to some.
pub(super) async fn forget(logins: &[(String, Vec<RegistryCredentials>)]) -> Result<Vec<String>> {
    let config = docker_config();
    let (mut domains, mut kept, mut why) = (Vec::new(), Vec::new(), None);
    for (domain, ours) in logins {
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
        format!("log it out by hand: {}", by_hand.join("; ")),
    )))
}
