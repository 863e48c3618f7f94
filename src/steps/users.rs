//! The users of a registry that serves, replaced by one rename: there is no moment at which nobody is let in.

use anyhow::Result;
use secrecy::ExposeSecret;

use super::one_shot::Script;
use crate::archive::Archive;
use crate::credentials::Stored;
use crate::docker::{Mount, MountSource};
use crate::layout::{self, Layout};
use crate::registry::distribution;
use crate::spec::{Registry, Spec};
use crate::step::Ctx;

/// Name of the script that puts a new htpasswd file in the place of the old one: folder.
pub const RENAME: &str = "kindreg-rename-users";
/// The archive API removes a file before it writes it anew. distribution looks at the time of the file, which is to
/// the nanosecond here, and to the second in an archive.
const RENAME_SCRIPT: &str =
    r#"set -eu; cd "$1"; touch htpasswd.new; [ ! -s htpasswd.new ] || mv -f htpasswd.new htpasswd"#;

/// Lets these users in, and nobody else; then they are what all others are to have.
pub async fn replace_users(
    ctx: &Ctx,
    spec: &Spec,
    registry: &Registry,
    users: &Stored,
) -> Result<()> {
    let container = Layout::of(&spec.cluster).registry(&registry.name);
    let file = |name: &str, text: String| Archive::new().file(name, 0o600, text).into_bytes();
    let new = file(
        &format!("{}.new", distribution::HTPASSWD),
        users.htpasswd()?,
    )?;
    ctx.docker.upload(&container, layout::SECRET, new).await?;
    rename(ctx, spec, registry).await?;
    let json = users.to_json().expose_secret().to_owned();
    let json = file(distribution::CREDENTIALS, json)?;
    Ok(ctx.docker.upload(&container, layout::SECRET, json).await?)
}

async fn rename(ctx: &Ctx, spec: &Spec, registry: &Registry) -> Result<()> {
    let layout = Layout::of(&spec.cluster);
    let script = Script {
        doing: "replacing the registry's users",
        container: layout.users_writer(&registry.name),
        mount: Mount {
            source: MountSource::Volume(layout.secret_volume(&registry.name)),
            target: layout::SECRET.to_owned(),
        },
        text: RENAME_SCRIPT,
        arguments: &[RENAME, layout::SECRET],
        file: None,
    };
    script.run(ctx, spec).await
}
