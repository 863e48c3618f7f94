//! `kindreg env`.

use anyhow::Result;
use clap::{Args, ValueEnum};
use secrecy::ExposeSecret;

use super::cluster;
use super::invocation::Invocation;
use super::request::checked;
use super::session::Session;
use crate::ops::{self, EnvOptions, Format, Secrets};
use crate::problem::Exit;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg env\n  \
    eval \"$(kindreg env --show-secrets)\"\n  \
    kindreg env --format github --show-secrets >>\"$GITHUB_ENV\"\n  \
    kindreg env --format gitlab --show-secrets --prefix NEXUS_DOCKER_REGISTRY >build.env\n\n\
    With --format github, each password that is shown is also printed on stderr as ::add-mask::, so that GitHub \
    hides it in the job's log.")]
pub(super) struct Arguments {
    /// Format of the variables
    #[arg(long, env = "KINDREG_FORMAT", value_enum, default_value_t = Form::Shell)]
    format: Form,
    /// Prefix of the names [default: KINDREG_ and the registry's name]; if there are several registries, each one's
    /// name is added
    #[arg(long, env = "KINDREG_PREFIX", value_name = "PREFIX")]
    prefix: Option<String>,
    /// Print passwords instead of ***
    #[arg(long, env = "KINDREG_SHOW_SECRETS")]
    show_secrets: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// `export NAME='value'`, for eval
    Shell,
    /// `NAME='value'`, for .env files
    Dotenv,
    /// One JSON object
    Json,
    /// `NAME=value`, for `$GITHUB_ENV`
    Github,
    /// `NAME=value`, for artifacts:reports:dotenv
    Gitlab,
}

impl Arguments {
    fn options(&self, invocation: &Invocation) -> Result<EnvOptions> {
        let prefix = self.prefix.as_deref();
        Ok(EnvOptions {
            format: match self.format {
                _ if invocation.shared.json => Format::Json,
                Form::Shell => Format::Shell,
                Form::Dotenv => Format::Dotenv,
                Form::Json => Format::Json,
                Form::Github => Format::Github,
                Form::Gitlab => Format::Gitlab,
            },
            prefix: prefix
                .map(|it| checked(invocation, "--prefix", it))
                .transpose()?,
            secrets: if self.show_secrets {
                Secrets::Shown
            } else {
                Secrets::Masked
            },
        })
    }
}

pub(super) async fn run(invocation: &Invocation, arguments: &Arguments) -> Result<Exit> {
    let options = arguments.options(invocation)?;
    let name = cluster(invocation)?;
    let session = Session::open(invocation).await?;
    let written = ops::env(&session.client, &name, &options).await?;
    let printer = &invocation.printer;
    if arguments.format == Form::Github {
        // The runner reads commands from either stream, and shows neither them nor what they mask.
        for password in &written.shown {
            printer.complain(&format!("::add-mask::{}", password.expose_secret()));
        }
    }
    if let Some(host) = session.client.engine_host() {
        printer.say(&format!(
            "LOCAL_HOST is for docker alone: its localhost is {host}, the engine's host"
        ));
    }
    printer.out(written.text.expose_secret());
    Ok(Exit::Done)
}
