//! A cache trusts the registry that it is a cache of: its CA, in the cache's secret volume.

use anyhow::Result;
use async_trait::async_trait;

use super::certificate::GRACE;
use super::{put_secret, secret, take_secret_back};
use crate::archive::Archive;
use crate::layout::Layout;
use crate::registry::distribution;
use crate::spec::{Authorities, ClusterName, Registry};
use crate::step::{Ctx, State, Step};

/// The CA of one cache's upstream.
#[derive(Debug)]
pub struct UpstreamTrust {
    /// Whose it is.
    pub cluster: ClusterName,
    /// The cache.
    pub registry: Registry,
    /// The CA.
    pub ca: Authorities,
}

fn archive(ca: &str) -> Archive {
    Archive::new().file(distribution::UPSTREAM_CA, 0o644, ca.to_owned())
}

#[async_trait]
impl Step for UpstreamTrust {
    fn title(&self) -> String {
        let of = self.registry.mirror_folder().unwrap_or_default();
        format!("CA of {of} in registry {}", self.registry.name)
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let files = secret(ctx, &self.cluster, &self.registry).await?;
        let found = files.and_then(|mut files| files.remove(distribution::UPSTREAM_CA));
        Ok(match found {
            None => State::Missing,
            Some(found) if found == self.ca.pem() => State::Ready,
            Some(_) => State::Drifted("it is another one".to_owned()),
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        // It reads CAs at start only, so it must not run on without this one.
        let container = Layout::of(&self.cluster).registry(&self.registry.name);
        ctx.docker.stop(&container, GRACE).await?;
        put_secret(ctx, &self.cluster, &self.registry, archive(self.ca.pem())).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        take_secret_back(ctx, &self.cluster, &self.registry, archive("")).await
    }
}
