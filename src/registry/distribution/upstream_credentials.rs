//! Step: the credentials of a cache for its upstream, in the cache's secret volume.

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

/// The step that writes the credentials of one cache for its upstream.
#[derive(Debug)]
pub(super) struct UpstreamCredentials {
    /// The cache.
    pub(super) driver: Driver,
    /// The upstream of the cache.
    pub(super) upstream: Upstream,
    /// The environment variables with the credentials.
    pub(super) variables: Variables,
}

impl UpstreamCredentials {
    /// Returns the problem to show if the credentials are missing; `None` if the variables are set or the cache has
    /// them.
    ///
    /// A cache with a volume and no container counts as having them: the volume can't be read without a container.
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

    /// Returns the cache's stored credentials for this upstream. Those for another upstream are never sent to this one.
    fn held(&self, file: Option<&bytes::Bytes>) -> Option<RegistryCredentials> {
        config::held(file?, &self.upstream)
    }

    fn missing(&self) -> Problem {
        let (Variables { username, password }, upstream) = (&self.variables, &self.upstream);
        Problem::usage(
            format!(
                "no credentials for {upstream}, the upstream of registry {}",
                self.driver.registry.name
            ),
            format!(
                "set {username} and {password}, and run: kindreg up --name {}; or remove upstream_username_env and \
                 upstream_password_env from kindreg.toml if the upstream needs no password",
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
            "upstream credentials of registry {} ({})",
            self.driver.registry.name, self.upstream
        )
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let Some(file) = self.file(ctx).await? else {
            return Ok(State::Missing);
        };
        let drifted = |why: &str| Ok(State::Drifted(why.to_owned()));
        let Some(held) = self.held(Some(&file)) else {
            return drifted("credentials for another upstream");
        };
        let login = self.given(ctx).unwrap_or(&held);
        if *login != held {
            return drifted("other credentials are set");
        }
        if file != self.config(login)?.expose_secret().as_bytes() {
            return drifted("other settings in config.yml");
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
        secret::clear(ctx, &self.driver, archive("")).await
    }
}
