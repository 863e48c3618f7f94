//! The users of a registry that serves, replaced by one rename: there is no moment at which nobody is admitted.
//!
//! A rotation is two of these changes: both users are admitted, and later the new one alone. Killed in between it
//! leaves two users who are admitted, and the next rotation begins by finishing this one.

use anyhow::{Context, Result};
use async_trait::async_trait;
use secrecy::ExposeSecret;

use crate::archive::Archive;
use crate::credentials::Stored;
use crate::docker::{Mount, MountSource};
use crate::layout::{self, Layout, SECRET_CREDENTIALS};
use crate::observe::stored_users;
use crate::problem::Problem;
use crate::registry::{Managed, secret};
use crate::spec::Spec;
use crate::step::{Ctx, Leaves, State, Step, StepId};
use crate::steps::host::Script;

/// Name of the script that puts a new file of users in the place of the old one: folder, file name.
pub const RENAME: &str = "kindreg-rename-users";
/// The archive API removes a file before it writes it anew. distribution looks at the time of the file, which is to
/// the nanosecond here, and to the second in an archive.
const RENAME_SCRIPT: &str =
    r#"set -eu; cd "$1"; touch "$2.new"; [ ! -s "$2.new" ] || mv -f "$2.new" "$2""#;

/// Admits these users and nobody else; then they are what all others are to have.
async fn replace(ctx: &Ctx, spec: &Spec, registry: &Managed, users: &Stored) -> Result<()> {
    let file = |name: &str, text: String| Archive::new().file(name, 0o600, text);
    let name = registry.users_file();
    let new = file(&format!("{name}.new"), registry.users_text(users)?);
    secret::put(ctx, &**registry, new).await?;
    let layout = Layout::of(&spec.cluster);
    let script = Script {
        doing: "replacing the registry's users",
        container: layout.users_writer(&registry.registry().name),
        mount: Some(Mount {
            source: MountSource::Volume(layout.secret_volume(&registry.registry().name)),
            target: layout::SECRET.to_owned(),
        }),
        network: None,
        text: RENAME_SCRIPT,
        arguments: &[RENAME, layout::SECRET, name],
        file: None,
    };
    script.run(ctx, spec).await?;
    let json = users.to_json().expose_secret().to_owned();
    secret::put(ctx, &**registry, file(SECRET_CREDENTIALS, json)).await
}

async fn users(ctx: &Ctx, spec: &Spec, registry: &Managed) -> Result<Stored> {
    let users = stored_users(&*ctx.docker, &spec.cluster, registry.registry()).await?;
    users.with_context(|| {
        Problem::not_ready(
            format!("registry {} has no password", registry.registry().domain()),
            format!("make it again: kindreg up --name {}", spec.cluster),
        )
    })
}

/// A second user, who is to replace the first.
#[derive(Debug)]
pub struct NextUser {
    /// The cluster.
    pub spec: Spec,
    /// The registry.
    pub registry: Managed,
}

#[async_trait]
impl Step for NextUser {
    fn id(&self) -> StepId {
        StepId::of("registry.next-user", &self.registry.registry().name)
    }

    fn title(&self) -> String {
        format!("next password of {}", self.registry.registry().domain())
    }

    fn leaves(&self) -> Leaves {
        // Both are admitted until the end, so there is nothing to take back: the next rotation goes on.
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let users = users(ctx, &self.spec, &self.registry).await?;
        Ok(match users.retiring {
            Some(_) => State::Ready,
            None => State::Missing,
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let users = users(ctx, &self.spec, &self.registry).await?;
        replace(ctx, &self.spec, &self.registry, &users.rotated()?).await
    }
}

/// The end of the first user, once everybody has the second.
#[derive(Debug)]
pub struct RetiredUser {
    /// The cluster.
    pub spec: Spec,
    /// The registry.
    pub registry: Managed,
}

#[async_trait]
impl Step for RetiredUser {
    fn id(&self) -> StepId {
        StepId::of("registry.retired-user", &self.registry.registry().name)
    }

    fn title(&self) -> String {
        format!(
            "end of the old password of {}",
            self.registry.registry().domain()
        )
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let users = users(ctx, &self.spec, &self.registry).await?;
        Ok(match users.retiring {
            Some(_) => State::Drifted("it is still admitted".to_owned()),
            None => State::Ready,
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let users = users(ctx, &self.spec, &self.registry).await?;
        replace(ctx, &self.spec, &self.registry, &users.retired()).await
    }
}
