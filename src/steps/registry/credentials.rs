//! Step: a registry's user and password, generated once and kept in its secret volume.

use anyhow::Result;
use async_trait::async_trait;
use secrecy::ExposeSecret;

use crate::archive::Archive;
use crate::credentials::{RegistryCredentials, Stored, USER_A};
use crate::layout::SECRET_CREDENTIALS;
use crate::observe::{secret_files, stored_users};
use crate::registry::{Admission, Managed, secret};
use crate::step::{Ctx, State, Step, StepId};

/// The step that writes the credentials of one registry.
#[derive(Debug)]
pub struct Credentials {
    /// The registry.
    pub registry: Managed,
}

impl Credentials {
    /// Returns whether the user chose other credentials than the stored ones.
    fn is_replaced(ctx: &Ctx, stored: &Stored) -> bool {
        ctx.own_credentials
            .as_ref()
            .is_some_and(|own| *own != stored.current)
    }

    fn archive(&self, users: String, json: String) -> Archive {
        Archive::new().file(SECRET_CREDENTIALS, 0o600, json).file(
            self.registry.users_file(),
            0o600,
            users,
        )
    }
}

#[async_trait]
impl Step for Credentials {
    fn id(&self) -> StepId {
        StepId::of("registry.credentials", &self.registry.registry().name)
    }

    fn title(&self) -> String {
        format!("password of {}", self.registry.registry().domain())
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let (cluster, registry) = (self.registry.cluster(), self.registry.registry());
        let files = secret_files(&*ctx.docker, cluster, registry).await?;
        let files = files.unwrap_or_default();
        let users = files.get(self.registry.users_file());
        let Some(stored) = files.get(SECRET_CREDENTIALS) else {
            return Ok(match users {
                None => State::Missing,
                Some(_) => State::Drifted("stored password is missing".to_owned()),
            });
        };
        let Ok(stored) = Stored::from_json(stored) else {
            return Ok(State::Drifted("can't read the stored password".to_owned()));
        };
        if Self::is_replaced(ctx, &stored) {
            return Ok(State::Drifted("another password was chosen".to_owned()));
        }
        Ok(
            match self
                .registry
                .admission(users.map_or(&[], |users| users), &stored)
            {
                Admission::Exact => State::Ready,
                Admission::Differs => State::Drifted("the registry admits other users".to_owned()),
            },
        )
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let (cluster, registry) = (self.registry.cluster(), self.registry.registry());
        // Replace credentials that can't be read: they are of no use to any client.
        let kept = stored_users(&*ctx.docker, cluster, registry)
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
        let archive = self.archive(self.registry.users_text(&stored)?, json);
        secret::put(ctx, &*self.registry, archive).await
    }

    async fn undo(&self, ctx: &Ctx) -> Result<()> {
        let empty = self.archive(String::new(), String::new());
        secret::clear(ctx, &*self.registry, empty).await
    }
}
