//! A registry's CA and leaf, in its secret volume. The CA's key is used once, in memory, and written nowhere.

use anyhow::Result;
use async_trait::async_trait;
use secrecy::ExposeSecret;
use time::OffsetDateTime;

use super::{identity, put_secret, take_secret_back};
use crate::archive::Archive;
use crate::layout::{self, Layout};
use crate::pki::{self, Identity};
use crate::registry::distribution;
use crate::spec::{Registry, Spec};
use crate::step::{Ctx, State, Step};

/// Seconds that a registry gets to finish what it is sending.
pub(super) const GRACE: u32 = 5;

/// The certificate of one registry.
#[derive(Debug)]
pub struct Certificate {
    /// What is asked.
    pub spec: Spec,
    /// The registry.
    pub registry: Registry,
}

impl Certificate {
    fn container(&self) -> String {
        Layout::of(&self.spec.cluster).registry(&self.registry.name)
    }

    fn judge(&self, identity: &Identity) -> std::result::Result<(), pki::Flaw> {
        let names = layout::names(&self.spec, &self.registry);
        let Identity {
            ca_pem,
            leaf_pem,
            key_pem,
        } = identity;
        pki::judge(
            ca_pem,
            leaf_pem,
            Some(key_pem),
            &names,
            OffsetDateTime::now_utc(),
            pki::RENEW_BEFORE,
        )
    }
}

fn archive(ca: String, leaf: String, key: String) -> Archive {
    Archive::new()
        .file(distribution::CA, 0o644, ca)
        .file(distribution::LEAF, 0o644, leaf)
        .file(distribution::KEY, 0o600, key)
}

#[async_trait]
impl Step for Certificate {
    fn title(&self) -> String {
        format!("certificate of {}", self.registry.domain())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let Some(identity) = identity(ctx, &self.spec, &self.registry).await? else {
            return Ok(State::Missing);
        };
        Ok(match self.judge(&identity) {
            Ok(()) => State::Ready,
            Err(flaw) => State::Drifted(flaw.to_string()),
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        // It reads its certificate at start only, so it must not run on with another one.
        ctx.docker.stop(&self.container(), GRACE).await?;
        let names = layout::names(&self.spec, &self.registry);
        let identity = pki::issue(&self.container(), &names, OffsetDateTime::now_utc())?;
        let key = identity.key_pem.expose_secret().to_owned();
        let archive = archive(identity.ca_pem, identity.leaf_pem, key);
        put_secret(ctx, &self.spec.cluster, &self.registry, archive).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let empty = archive(String::new(), String::new(), String::new());
        take_secret_back(ctx, &self.spec.cluster, &self.registry, empty).await
    }
}
