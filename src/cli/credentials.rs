//! Flags for a password that the user chooses.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use super::invocation::Invocation;
use crate::credentials::USER_A;
use crate::ops::OwnPassword;
use crate::problem::Problem;

/// A password that the user chooses, for the registries that kindreg runs.
#[derive(Debug, Args)]
pub(super) struct PasswordFlags {
    /// User name that goes with --password-file
    #[arg(long, env = "KINDREG_USER", default_value = USER_A, value_name = "NAME")]
    user: String,
    /// Use the password in this file instead of a random one; `-` is standard input
    #[arg(long, env = "KINDREG_PASSWORD_FILE", value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordFlags {
    /// Reads the password; `None` if a random one is wanted.
    pub(super) fn read(&self, invocation: &Invocation) -> Result<Option<OwnPassword>> {
        let Some(file) = &self.password_file else {
            return Ok(None);
        };
        let mut text = String::new();
        let read = if file.as_os_str() == "-" {
            std::io::stdin().read_to_string(&mut text)
        } else {
            std::fs::File::open(invocation.path(file))
                .and_then(|mut file| file.read_to_string(&mut text))
        };
        read.with_context(|| {
            Problem::usage(
                format!("can't read the password from {}", file.display()),
                "name a readable file with --password-file or KINDREG_PASSWORD_FILE, or - for standard input",
            )
        })?;
        let password = text.strip_suffix('\n').unwrap_or(&text);
        let password = password.strip_suffix('\r').unwrap_or(password).to_owned();
        OwnPassword::new(&self.user, password)
            .map(Some)
            .map_err(|error| {
                Problem::usage(
                    error.to_string(),
                    "choose another one, or leave out --password-file for a random one",
                )
                .into()
            })
    }
}
