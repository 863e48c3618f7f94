//! A registry's user and password, in its secret volume: made once, and kept.

use anyhow::Result;
use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::{put_secret, secret, take_secret_back};
use crate::archive::Archive;
use crate::credentials::{RegistryCredentials, Stored, USER_A};
use crate::registry::distribution;
use crate::spec::{ClusterName, Registry};
use crate::step::{Ctx, State, Step};

/// The credentials of one registry.
#[derive(Debug)]
pub struct Credentials {
    /// Whose it is.
    pub cluster: ClusterName,
    /// The registry.
    pub registry: Registry,
}

/// The users of a registry, as its secret volume has them; `None` while there are none.
pub async fn stored(
    ctx: &Ctx,
    cluster: &ClusterName,
    registry: &Registry,
) -> Result<Option<Stored>> {
    let files = secret(ctx, cluster, registry).await?.unwrap_or_default();
    let file = files.get(distribution::CREDENTIALS);
    Ok(file.map(|text| Stored::from_json(text)).transpose()?)
}

impl Credentials {
    /// Whether the user gave other credentials than those that are stored.
    fn is_replaced(ctx: &Ctx, stored: &Stored) -> bool {
        ctx.own_credentials
            .as_ref()
            .is_some_and(|own| *own != stored.current)
    }
}

fn archive(htpasswd: String, json: String) -> Archive {
    Archive::new()
        .file(distribution::CREDENTIALS, 0o600, json)
        .file(distribution::HTPASSWD, 0o600, htpasswd)
}

#[async_trait]
impl Step for Credentials {
    fn title(&self) -> String {
        format!("password of {}", self.registry.domain())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let files = secret(ctx, &self.cluster, &self.registry).await?;
        let files = files.unwrap_or_default();
        let users = files.get(distribution::HTPASSWD);
        let Some(stored) = files.get(distribution::CREDENTIALS) else {
            return Ok(match users {
                None => State::Missing,
                Some(_) => State::Drifted("its password is lost".to_owned()),
            });
        };
        let Ok(stored) = Stored::from_json(stored) else {
            return Ok(State::Drifted("its password can't be read".to_owned()));
        };
        let users = String::from_utf8_lossy(users.map_or(&[], |users| users));
        Ok(if Self::is_replaced(ctx, &stored) {
            State::Drifted("another password is given".to_owned())
        } else if stored.is_in(&users) {
            State::Ready
        } else {
            State::Drifted("its htpasswd file lets others in".to_owned())
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        // One that can't be read is replaced: nobody can use it any more.
        let kept = stored(ctx, &self.cluster, &self.registry)
            .await
            .ok()
            .flatten()
            .filter(|stored| !Self::is_replaced(ctx, stored));
        let stored = match (kept, &ctx.own_credentials) {
            (Some(kept), _) => kept,
            (None, Some(own)) => Stored::new(own.clone())?,
            (None, None) => Stored::new(RegistryCredentials::generate(USER_A)?)?,
        };
        let json = stored.to_json().expose_secret().to_owned();
        let archive = archive(stored.htpasswd()?, json);
        put_secret(ctx, &self.cluster, &self.registry, archive).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let empty = archive(String::new(), String::new());
        take_secret_back(ctx, &self.cluster, &self.registry, empty).await
    }
}
