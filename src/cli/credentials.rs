//! Arguments and helpers that commands about passwords share.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::credentials::{RegistryCredentials, USER_A};
use crate::docker::address;
use crate::login::{DockerConfig, Wallet, missing};
use crate::problem::Problem;
use crate::spec::{Registry, RegistryName, Spec};
use crate::step::{Ctx, Stopped};
use crate::steps::{self, Held, UpstreamCredentials};
use crate::ui::Printer;

/// A password of one's own, for the registries that kindreg runs.
#[derive(Debug, Args)]
pub(super) struct OwnPassword {
    /// User of the registry, with --password-file
    #[arg(long, env = "KINDREG_USER", default_value = USER_A, value_name = "NAME")]
    user: String,
    /// File with a password of one's own instead of a random one; `-` is standard input
    #[arg(long, env = "KINDREG_PASSWORD_FILE", value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl OwnPassword {
    /// Reads it; `None` where a random one is wanted.
    pub(super) fn read(&self) -> Result<Option<RegistryCredentials>> {
        let Some(file) = &self.password_file else {
            return Ok(None);
        };
        let mut text = String::new();
        let read = if file.as_os_str() == "-" {
            std::io::stdin().read_to_string(&mut text)
        } else {
            std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
        };
        read.with_context(|| {
            Problem::usage(
                format!("the password can't be read from {}", file.display()),
                "name a readable file with --password-file or KINDREG_PASSWORD_FILE, or - for standard input",
            )
        })?;
        let password = text.strip_suffix('\n').unwrap_or(&text);
        let password = password.strip_suffix('\r').unwrap_or(password).to_owned();
        RegistryCredentials::new(&self.user, password)
            .map(Some)
            .map_err(|error| {
                Problem::usage(
                    error.to_string(),
                    "choose another one, or leave it to kindreg",
                )
                .into()
            })
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Docker's config of the user.
pub(super) fn docker_config() -> DockerConfig {
    DockerConfig::of(&address::docker_config(&variable), std::env::var_os("PATH"))
}

/// Credentials by the registry's name.
type Credentials = BTreeMap<RegistryName, RegistryCredentials>;

/// What the user has for external registries, without asking a helper or the user.
pub(super) fn at_hand(spec: &Spec) -> Result<Credentials> {
    let asking = spec.externals().filter(|one| one.asks_password());
    gathered(asking, |registry| wallet().at_hand(registry))
}

/// Those that are found, by the registry's name.
fn gathered<'a>(
    registries: impl IntoIterator<Item = &'a Registry>,
    find: impl Fn(&Registry) -> Result<Option<RegistryCredentials>>,
) -> Result<Credentials> {
    let found = registries.into_iter().filter_map(|registry| {
        let named = |found| (registry.name.clone(), found);
        find(registry).map(|found| found.map(named)).transpose()
    });
    found.collect()
}

/// Gives steps all that can be had without asking a helper or the user.
///
/// # Errors
/// Of two variables one is not set, they hold what no credentials are, or docker's config can't be read.
pub(super) fn take_along(ctx: &mut Ctx, spec: &Spec) -> Result<()> {
    ctx.external_credentials = at_hand(spec)?;
    ctx.upstream_credentials = gathered(&spec.registries, |one| wallet().upstream(one))?;
    Ok(())
}

/// Finds what neither the user has at hand nor the nodes hold: by a helper, or by a question.
///
/// # Errors
/// There is nothing, also for the upstream of a cache, or a helper fails.
pub(super) async fn complete(ctx: &mut Ctx, spec: &Spec, printer: Printer) -> Result<()> {
    take_along(ctx, spec)?;
    // Before anybody is asked anything, and before anything is made.
    for login in spec
        .ours()
        .filter_map(|one| UpstreamCredentials::of(spec, one))
    {
        if let Some(problem) = login.lacking(ctx).await? {
            return Err(problem.into());
        }
    }
    for (registry, held) in steps::lacking(ctx, spec).await? {
        let mut found = wallet().fetch(registry).await?;
        if found.is_none()
            && let Some((user, password)) =
                printer.ask_credentials(&registry.domain(), &ctx.stop).await
        {
            found = Some(RegistryCredentials::given(user, password)?);
        }
        if ctx.stop.is_cancelled() {
            return Err(Stopped.into());
        }
        match (found, held) {
            (Some(found), _) => drop(
                ctx.external_credentials
                    .insert(registry.name.clone(), found),
            ),
            // The proof says whether they are let in today.
            (None, Held::Refused) => {}
            (None, Held::Nothing) => return Err(missing(registry).into()),
        }
    }
    Ok(())
}

fn wallet() -> Wallet<'static> {
    Wallet {
        variable: &variable,
        config: docker_config(),
    }
}
