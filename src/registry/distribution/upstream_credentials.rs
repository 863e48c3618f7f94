//! A cache logs in to the registry that it is a cache of: user and password, in its secret volume and nowhere else.

use anyhow::Result;
use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::{CONFIG, Driver, config};
use crate::archive::Archive;
use crate::credentials::RegistryCredentials;
use crate::layout::Layout;
use crate::observe::secret_files;
use crate::problem::Problem;
use crate::registry::secret;
use crate::spec::{Upstream, Variables};
use crate::step::{Ctx, State, Step, StepId};

/// The credentials of one cache for its upstream.
#[derive(Debug)]
pub(super) struct UpstreamCredentials {
    /// The cache.
    pub(super) driver: Driver,
    /// The registry that it is a cache of.
    pub(super) upstream: Upstream,
    /// The variables that hold them.
    pub(super) variables: Variables,
}

impl UpstreamCredentials {
    /// Returns the problem that there are none; `None` where they were given or the cache holds them.
    ///
    /// A cache that lost its container and kept its volume may hold them: nobody can look before it has one again.
    pub(super) async fn missing_input(&self, ctx: &Ctx) -> Result<Option<Problem>> {
        if self.given(ctx).is_some() {
            return Ok(None);
        }
        let Driver {
            cluster, registry, ..
        } = &self.driver;
        let volume = Layout::of(cluster).secret_volume(&registry.name);
        let has = match secret_files(&*ctx.docker, cluster, registry).await? {
            Some(files) => self.held(files.get(CONFIG)).is_some(),
            None => ctx.docker.volume(&volume).await?.is_some(),
        };
        Ok((!has).then(|| self.missing()))
    }

    async fn file(&self, ctx: &Ctx) -> Result<Option<bytes::Bytes>> {
        let Driver {
            cluster, registry, ..
        } = &self.driver;
        let files = secret_files(&*ctx.docker, cluster, registry).await?;
        Ok(files.and_then(|mut files| files.remove(CONFIG)))
    }

    fn config(&self, login: &RegistryCredentials) -> Result<secrecy::SecretString> {
        Ok(config::config(&self.driver.store(), &self.upstream, login)?)
    }

    fn given<'a>(&self, ctx: &'a Ctx) -> Option<&'a RegistryCredentials> {
        ctx.upstream_credentials.get(&self.driver.registry.name)
    }

    /// What the cache has for this upstream. What it has for another one, this one is never sent.
    fn held(&self, file: Option<&bytes::Bytes>) -> Option<RegistryCredentials> {
        config::held(file?, &self.upstream)
    }

    fn missing(&self) -> Problem {
        let (Variables { username, password }, upstream) = (&self.variables, &self.upstream);
        Problem::usage(
            format!(
                "no credentials for {upstream}, which registry {} is a cache of",
                self.driver.registry.name
            ),
            format!(
                "set both {username} and {password}, and run: kindreg up --name {}; or leave upstream_username_env and \
                 upstream_password_env out of kindreg.toml, if it asks for none",
                self.driver.cluster
            ),
        )
    }
}

fn archive(text: &str) -> Archive {
    Archive::new().file(CONFIG, 0o600, text.to_owned())
}

#[async_trait]
impl Step for UpstreamCredentials {
    fn id(&self) -> StepId {
        StepId::of("registry.upstream-credentials", &self.driver.registry.name)
    }

    fn title(&self) -> String {
        format!(
            "credentials for {} in registry {}",
            self.upstream, self.driver.registry.name
        )
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let Some(file) = self.file(ctx).await? else {
            return Ok(State::Missing);
        };
        let drifted = |why: &str| Ok(State::Drifted(why.to_owned()));
        let Some(held) = self.held(Some(&file)) else {
            return drifted("they are for another registry");
        };
        let login = self.given(ctx).unwrap_or(&held);
        if *login != held {
            return drifted("others are given");
        }
        if file != self.config(login)?.expose_secret().as_bytes() {
            return drifted("the settings around them differ");
        }
        Ok(State::Ready)
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let held = self.held(self.file(ctx).await?.as_ref());
        let Some(login) = self.given(ctx).or(held.as_ref()) else {
            return Err(self.missing().into());
        };
        let archive = archive(self.config(login)?.expose_secret());
        secret::put_stopped(ctx, &self.driver, archive).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        secret::take_back(ctx, &self.driver, archive("")).await
    }
}
