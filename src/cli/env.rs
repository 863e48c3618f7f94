//! `kindreg env`.

use anyhow::Result;
use clap::{Args, ValueEnum};
use secrecy::ExposeSecret;

use super::request::checked;
use super::session::Session;
use super::{Shared, cluster};
use crate::ops::{self, EnvOptions, Format, Secrets};
use crate::problem::Exit;
use crate::ui::Printer;

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

impl Arguments {
    fn options(&self, shared: &Shared) -> Result<EnvOptions> {
        let prefix = self.prefix.as_deref();
        Ok(EnvOptions {
            format: match self.format {
                _ if shared.json => Format::Json,
                Form::Shell => Format::Shell,
                Form::Dotenv => Format::Dotenv,
                Form::Json => Format::Json,
                Form::Github => Format::Github,
                Form::Gitlab => Format::Gitlab,
            },
            prefix: prefix.map(|it| checked("--prefix", it)).transpose()?,
            secrets: if self.show_secrets {
                Secrets::Shown
            } else {
                Secrets::Masked
            },
        })
    }
}

pub(super) async fn run(shared: &Shared, arguments: &Arguments, printer: Printer) -> Result<Exit> {
    let options = arguments.options(shared)?;
    let name = cluster(shared)?;
    let session = Session::open(shared, printer).await?;
    let written = ops::env(&session.client, &name, &options).await?;
    if arguments.format == Form::Github {
        // The runner reads commands from either stream, and shows neither them nor what they mask.
        for password in &written.shown {
            printer.complain(&format!("::add-mask::{}", password.expose_secret()));
        }
    }
    printer.out(written.text.expose_secret());
    Ok(Exit::Done)
}
