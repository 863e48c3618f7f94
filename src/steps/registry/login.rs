//! Step: replaces the old password in the user's docker logins to a registry.

use anyhow::Result;
use async_trait::async_trait;

use crate::credentials::Stored;
use crate::login::DockerConfig;
use crate::observe::stored_users;
use crate::registry::Managed;
use crate::step::{Ctx, Leaves, State, Step, StepId};

/// The step that updates the user's docker logins to one registry.
#[derive(Debug)]
pub struct DockerLogin {
    /// The registry.
    pub registry: Managed,
    /// The user's docker config.
    pub config: DockerConfig,
}

impl DockerLogin {
    /// Returns the registry's users and the domains for which docker has the old password; `None` without an old
    /// password.
    async fn outdated(&self, ctx: &Ctx) -> Result<Option<(Stored, Vec<String>)>> {
        let (cluster, registry) = (self.registry.cluster(), self.registry.registry());
        let Some(users) = stored_users(&*ctx.docker, cluster, registry).await? else {
            return Ok(None);
        };
        let Some(old) = &users.retiring else {
            return Ok(None);
        };
        let mut domains = Vec::new();
        for domain in registry.domains() {
            if self.config.has(&domain, old).await? {
                domains.push(domain);
            }
        }
        Ok(Some((users, domains)))
    }
}

#[async_trait]
impl Step for DockerLogin {
    fn id(&self) -> StepId {
        StepId::of("registry.docker-login", &self.registry.registry().name)
    }

    fn title(&self) -> String {
        format!("docker login to {}", self.registry.registry().domain())
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        Ok(match self.outdated(ctx).await? {
            Some((_, domains)) if !domains.is_empty() => {
                State::Drifted(format!("old password for {}", domains.join(", ")))
            }
            _ => State::Ready,
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        if let Some((users, domains)) = self.outdated(ctx).await? {
            for domain in domains {
                self.config.store(&domain, &users.current).await?;
            }
        }
        Ok(())
    }
}
