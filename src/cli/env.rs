//! `kindreg env`.

use anyhow::Result;
use clap::{Args, ValueEnum};
use secrecy::ExposeSecret;

use super::request::checked;
use super::session::Session;
use super::{Shared, credentials, status};
use crate::problem::Exit;
use crate::steps;
use crate::ui::Printer;
use crate::variables::{Format, Prefix, Secrets, prefix, variables, written};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg env\n  \
    eval \"$(kindreg env --show-secrets)\"\n  \
    kindreg env --format github --show-secrets >>\"$GITHUB_ENV\"\n  \
    kindreg env --format gitlab --show-secrets --prefix NEXUS_DOCKER_REGISTRY >build.env\n\n\
    With --format github the password is also named on stderr as one that the job's log must mask (::add-mask::).")]
pub(super) struct Arguments {
    /// Form of the variables
    #[arg(long, env = "KINDREG_FORMAT", value_enum, default_value_t = Form::Shell)]
    format: Form,
    /// What the names begin with [default: KINDREG_ and the registry's name]; with several registries their names follow
    #[arg(long, env = "KINDREG_PREFIX", value_name = "PREFIX")]
    prefix: Option<String>,
    /// Show passwords instead of ***
    #[arg(long, env = "KINDREG_SHOW_SECRETS")]
    show_secrets: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// export NAME='value'
    Shell,
    /// NAME='value'
    Dotenv,
    /// One object
    Json,
    /// NAME=value, for `$GITHUB_ENV`
    Github,
    /// NAME=value, for artifacts:reports:dotenv
    Gitlab,
}

pub(super) async fn run(shared: &Shared, arguments: &Arguments, printer: Printer) -> Result<Exit> {
    let given = arguments.prefix.as_deref();
    let given: Option<Prefix> = given.map(|it| checked("--prefix", it)).transpose()?;
    let mut session = Session::open(shared, printer).await?;
    let asked = steps::asked(&*session.docker, &shared.name).await?;
    let spec = asked.ok_or_else(|| status::nothing(shared))?.current;
    session.ctx.external_credentials = credentials::at_hand(&spec)?;
    let secrets = if arguments.show_secrets {
        Secrets::Shown
    } else {
        Secrets::Masked
    };
    let mut all = Vec::new();
    for registry in &spec.registries {
        let user = steps::credentials_of(&session.ctx, &spec, registry).await?;
        let prefix = match &given {
            None => prefix(registry),
            Some(prefix) if spec.registries.len() == 1 => prefix.clone(),
            Some(prefix) => prefix.of(registry),
        };
        all.extend(variables(&prefix, registry, user.as_ref(), secrets));
        if let Some(user) = user
            && arguments.format == Form::Github
            && secrets == Secrets::Shown
        {
            // The runner reads commands from either stream, and shows neither them nor what they mask.
            printer.complain(&format!("::add-mask::{}", user.password().expose_secret()));
        }
    }
    let format = match arguments.format {
        _ if shared.json => Format::Json,
        Form::Shell => Format::Shell,
        Form::Dotenv => Format::Dotenv,
        Form::Json => Format::Json,
        Form::Github => Format::Github,
        Form::Gitlab => Format::Gitlab,
    };
    printer.out(written(&all, format).expose_secret());
    Ok(Exit::Done)
}
