//! A cache logs in to the registry that it is a cache of: user and password, in its secret volume and nowhere else.

use anyhow::Result;
use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::certificate::GRACE;
use super::{put_secret, secret, take_secret_back};
use crate::archive::Archive;
use crate::credentials::RegistryCredentials;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::registry::{distribution, upstream};
use crate::spec::{ClusterName, Registry, Spec, Upstream, Variables};
use crate::step::{Ctx, State, Step};

/// The credentials of one cache for its upstream.
#[derive(Debug)]
pub struct UpstreamCredentials {
    /// Whose it is.
    pub cluster: ClusterName,
    /// The cache.
    pub registry: Registry,
    /// The registry that it is a cache of.
    pub upstream: Upstream,
    /// The variables that hold them.
    pub variables: Variables,
}

impl UpstreamCredentials {
    /// Those of a cache; `None` where it has none.
    #[must_use]
    pub fn of(spec: &Spec, registry: &Registry) -> Option<Self> {
        let (upstream, variables) = registry.upstream_login()?;
        Some(Self {
            cluster: spec.cluster.clone(),
            registry: registry.clone(),
            upstream: upstream.clone(),
            variables: variables.clone(),
        })
    }

    /// That there are none, although they are needed; `None` where they were given or the cache holds them.
    ///
    /// A cache that lost its container and kept its volume may hold them: nobody can look before it has one again.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn lacking(&self, ctx: &Ctx) -> Result<Option<Problem>> {
        if self.given(ctx).is_some() {
            return Ok(None);
        }
        let volume = Layout::of(&self.cluster).secret_volume(&self.registry.name);
        let has = match secret(ctx, &self.cluster, &self.registry).await? {
            Some(files) => self.held(files.get(distribution::CONFIG)).is_some(),
            None => ctx.docker.volume(&volume).await?.is_some(),
        };
        Ok((!has).then(|| self.missing()))
    }

    fn given<'a>(&self, ctx: &'a Ctx) -> Option<&'a RegistryCredentials> {
        ctx.upstream_credentials.get(&self.registry.name)
    }

    /// What the cache has for this upstream. What it has for another one, this one is never sent.
    fn held(&self, file: Option<&bytes::Bytes>) -> Option<RegistryCredentials> {
        upstream::held(file?, &self.upstream)
    }

    fn missing(&self) -> Problem {
        let (Variables { username, password }, upstream) = (&self.variables, &self.upstream);
        Problem::usage(
            format!(
                "there are no credentials for {upstream}, which registry {} is a cache of",
                self.registry.name
            ),
            format!(
                "set both {username} and {password}, and go on: kindreg up --name {}; or leave upstream_username_env and \
                 upstream_password_env out of kindreg.toml, if it asks for none",
                self.cluster
            ),
        )
    }
}

fn archive(text: &str) -> Archive {
    Archive::new().file(distribution::CONFIG, 0o600, text.to_owned())
}

#[async_trait]
impl Step for UpstreamCredentials {
    fn title(&self) -> String {
        format!(
            "credentials for {} in registry {}",
            self.upstream, self.registry.name
        )
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let files = secret(ctx, &self.cluster, &self.registry).await?;
        let Some(file) = files.and_then(|mut files| files.remove(distribution::CONFIG)) else {
            return Ok(State::Missing);
        };
        let drifted = |why: &str| Ok(State::Drifted(why.to_owned()));
        let Some(held) = self.held(Some(&file)) else {
            return drifted("it has none for this registry");
        };
        let login = self.given(ctx).unwrap_or(&held);
        if *login != held {
            return drifted("others are given");
        }
        let wanted = upstream::config(&self.registry, &self.upstream, login)?;
        if file != wanted.expose_secret().as_bytes() {
            return drifted("the settings around them are other ones");
        }
        Ok(State::Ready)
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let files = secret(ctx, &self.cluster, &self.registry).await?;
        let held = self.held(files.unwrap_or_default().get(distribution::CONFIG));
        let Some(login) = self.given(ctx).or(held.as_ref()) else {
            return Err(self.missing().into());
        };
        let text = upstream::config(&self.registry, &self.upstream, login)?;
        // It reads its settings at start only, so it must not run on with others.
        let container = Layout::of(&self.cluster).registry(&self.registry.name);
        ctx.docker.stop(&container, GRACE).await?;
        let archive = archive(text.expose_secret());
        put_secret(ctx, &self.cluster, &self.registry, archive).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        take_secret_back(ctx, &self.cluster, &self.registry, archive("")).await
    }
}
