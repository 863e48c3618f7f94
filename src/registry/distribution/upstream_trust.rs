//! Step: the CA of a cache's upstream, in the cache's secret volume.

use anyhow::Result;
use async_trait::async_trait;

use super::{Driver, UPSTREAM_CA};
use crate::archive::Archive;
use crate::observe::secret_files;
use crate::registry::secret;
use crate::spec::{Authorities, Upstream};
use crate::step::{Ctx, State, Step, StepId};

/// The step that writes the CA of one cache's upstream.
#[derive(Debug)]
pub(super) struct UpstreamTrust {
    /// The cache.
    pub(super) driver: Driver,
    /// The upstream of the cache.
    pub(super) upstream: Upstream,
    /// The CA.
    pub(super) ca: Authorities,
}

fn archive(ca: &str) -> Archive {
    Archive::new().file(UPSTREAM_CA, 0o644, ca.to_owned())
}

#[async_trait]
impl Step for UpstreamTrust {
    fn id(&self) -> StepId {
        StepId::of("registry.upstream-trust", &self.driver.registry.name)
    }

    fn title(&self) -> String {
        let Self {
            driver, upstream, ..
        } = self;
        format!(
            "upstream CA of registry {} ({upstream})",
            driver.registry.name
        )
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let Driver {
            cluster, registry, ..
        } = &self.driver;
        let files = secret_files(&*ctx.docker, cluster, registry).await?;
        let found = files.and_then(|mut files| files.remove(UPSTREAM_CA));
        Ok(match found {
            None => State::Missing,
            Some(found) if found == self.ca.pem() => State::Ready,
            Some(_) => State::Drifted("another CA".to_owned()),
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        secret::put_stopped(ctx, &self.driver, archive(self.ca.pem())).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        secret::clear(ctx, &self.driver, archive("")).await
    }
}
