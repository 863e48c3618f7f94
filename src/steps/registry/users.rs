//! Steps: replace the users of a running registry by a rename, so that it admits somebody at every moment.
//!
//! A rotation is two of these changes: the registry admits both users, and later only the new one. If the rotation is
//! killed in between, both users are admitted, and the next rotation finishes this one first.

use anyhow::{Context, Result};
use async_trait::async_trait;
use secrecy::ExposeSecret;

use crate::archive::Archive;
use crate::credentials::Stored;
use crate::docker::{Mount, MountSource, NetworkMode};
use crate::layout::{self, Layout, SECRET_CREDENTIALS};
use crate::observe::stored_users;
use crate::problem::Problem;
use crate::registry::{Managed, secret};
use crate::spec::Spec;
use crate::step::{Ctx, Leaves, State, Step, StepId};
use crate::steps::host::Script;

/// The name of the script that replaces the users file. Its arguments are the folder and the file name.
pub const RENAME: &str = "kindreg-rename-users";
/// A script, because the archive API removes a file before it writes the new one. It touches the file because
/// distribution compares modification times, which archives store in seconds only.
const RENAME_SCRIPT: &str =
    r#"set -eu; cd "$1"; touch "$2.new"; [ ! -s "$2.new" ] || mv -f "$2.new" "$2""#;

/// Makes the registry admit exactly these users, and then stores them as the ones that clients should have.
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
        network: NetworkMode::None,
        text: RENAME_SCRIPT,
        arguments: &[RENAME, layout::SECRET, name],
        files: Vec::new(),
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
            format!("run: kindreg up --name {}", spec.cluster),
        )
    })
}

/// The step that adds a second user, who will replace the first.
#[derive(Debug)]
pub struct NextUser {
    /// The Spec that is wanted.
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
        format!("new password of {}", self.registry.registry().domain())
    }

    fn leaves(&self) -> Leaves {
        // Both users stay valid after a failure, and the next rotation continues from there.
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

/// The step that removes the first user, after all clients have the second one.
#[derive(Debug)]
pub struct RetiredUser {
    /// The Spec that is wanted.
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
        format!("old password of {}", self.registry.registry().domain())
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let users = users(ctx, &self.spec, &self.registry).await?;
        Ok(match users.retiring {
            Some(_) => State::Drifted("still accepted".to_owned()),
            None => State::Ready,
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        let users = users(ctx, &self.spec, &self.registry).await?;
        replace(ctx, &self.spec, &self.registry, &users.retired()).await
    }
}
