//! Step: a registry's CA and leaf certificate, in its secret volume. The CA's key is used once in memory and never
//! written.

use anyhow::Result;
use async_trait::async_trait;
use secrecy::ExposeSecret;
use time::OffsetDateTime;

use crate::archive::Archive;
use crate::layout::{self, SECRET_CA, SECRET_KEY, SECRET_LEAF};
use crate::observe::identity;
use crate::pki::{self, Identity};
use crate::registry::{Managed, secret};
use crate::step::{Ctx, State, Step, StepId};

/// The step that issues the certificate of one registry.
#[derive(Debug)]
pub struct Certificate {
    /// The registry.
    pub registry: Managed,
}

impl Certificate {
    fn names(&self) -> pki::Names {
        layout::names(self.registry.cluster(), self.registry.registry())
    }

    fn judge(&self, identity: &Identity) -> std::result::Result<(), pki::Flaw> {
        pki::judge(
            &identity.ca_pem,
            &identity.leaf_pem,
            Some(&identity.key),
            &self.names(),
            OffsetDateTime::now_utc(),
            pki::RENEW_BEFORE,
        )
    }
}

fn archive(ca: String, leaf: String, key: String) -> Archive {
    Archive::new()
        .file(SECRET_CA, 0o644, ca)
        .file(SECRET_LEAF, 0o644, leaf)
        .file(SECRET_KEY, 0o600, key)
}

#[async_trait]
impl Step for Certificate {
    fn id(&self) -> StepId {
        StepId::of("registry.certificate", &self.registry.registry().name)
    }

    fn title(&self) -> String {
        format!("certificate of {}", self.registry.registry().domain())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let (cluster, registry) = (self.registry.cluster(), self.registry.registry());
        let Some(identity) = identity(&*ctx.docker, cluster, registry).await? else {
            return Ok(State::Missing);
        };
        Ok(match self.judge(&identity) {
            Ok(()) => State::Ready,
            Err(flaw) => State::Drifted(flaw.to_string()),
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let names = self.names();
        let owner = self.registry.container_name();
        let identity = pki::issue(&owner, &names, OffsetDateTime::now_utc())?;
        let key = identity.key.expose_secret().to_owned();
        let archive = archive(identity.ca_pem, identity.leaf_pem, key);
        secret::put_stopped(ctx, &*self.registry, archive).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let empty = archive(String::new(), String::new(), String::new());
        secret::clear(ctx, &*self.registry, empty).await
    }
}
