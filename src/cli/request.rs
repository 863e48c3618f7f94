//! Flags that override `kindreg.toml`.

use std::fmt::Write;
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use clap::builder::FalseyValueParser;

use super::invocation::Invocation;
use crate::ops::{Need, Sources, settings};
use crate::problem::Problem;
use crate::shell;
use crate::spec::mistake::{Given, Source};
use crate::spec::overrides::{Overrides, flag_or_variable};
use crate::spec::request::Request;
use crate::spec::{Auth, HostTrust, Invalid};

/// Flags that override `kindreg.toml`. Their values are parsed here and not by clap, which would stop at the first mistake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Settings (override kindreg.toml)")]
pub(super) struct Flags {
    /// Number of worker nodes [default: 0]
    #[arg(
        long,
        env = "KINDREG_WORKERS",
        value_name = "N",
        allow_hyphen_values = true
    )]
    workers: Option<String>,
    /// Host name of the registry [default: registry.test]
    #[arg(long, env = "KINDREG_HOST", value_name = "NAME")]
    host: Option<String>,
    /// Port of the registry, the same for nodes and on the engine's host; `auto` finds a free one [default: 5001]
    #[arg(
        long,
        env = "KINDREG_PORT",
        value_name = "N",
        allow_hyphen_values = true
    )]
    port: Option<String>,
    /// Node image [default: that of the installed kind]
    #[arg(long, env = "KINDREG_IMAGE", value_name = "NODE_IMAGE")]
    image: Option<String>,
    /// Registry image [default: registry:3]
    #[arg(long, env = "KINDREG_REGISTRY_IMAGE", value_name = "IMAGE")]
    registry_image: Option<String>,
    /// Don't add the CA to /etc/docker/certs.d on the engine's host; `=false` overrides kindreg.toml
    #[arg(long, env = "KINDREG_NO_HOST_TRUST", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = FalseyValueParser::new())]
    no_host_trust: Option<bool>,
    /// Let everyone use the registries without a password; `=false` overrides kindreg.toml
    #[arg(long, env = "KINDREG_NO_AUTH", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = FalseyValueParser::new())]
    no_auth: Option<bool>,
}

impl Flags {
    /// Returns the flags as they are typed, each after a space.
    pub(super) fn typed(&self) -> String {
        // All of them are listed, so that a new one can't be forgotten here.
        let Self {
            workers,
            host,
            port,
            image,
            registry_image,
            no_host_trust,
            no_auth,
        } = self;
        let mut all = String::new();
        for (flag, text) in [
            ("workers", workers),
            ("host", host),
            ("port", port),
            ("image", image),
            ("registry-image", registry_image),
            ("no-host-trust", &no_host_trust.map(|it| it.to_string())),
            ("no-auth", &no_auth.map(|it| it.to_string())),
        ] {
            if let Some(text) = text {
                let _ = write!(all, " --{flag}={}", shell::word(text));
            }
        }
        all
    }

    fn overrides(&self, invocation: &Invocation) -> Overrides {
        let text = |flag, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| given(invocation, flag, text))
        };
        Overrides {
            workers: text("--workers", &self.workers),
            host: text("--host", &self.host),
            port: text("--port", &self.port),
            node_image: text("--image", &self.image),
            registry_image: text("--registry-image", &self.registry_image),
            host_trust: self.no_host_trust.map(|leave| {
                let trust = if leave {
                    HostTrust::Leave
                } else {
                    HostTrust::Install
                };
                Given::new(trust, Source::Flag("--no-host-trust".to_owned()))
            }),
            auth: self.no_auth.map(|open| {
                let auth = if open {
                    Auth::Anonymous
                } else {
                    Auth::Password
                };
                Given::new(auth, Source::Flag("--no-auth".to_owned()))
            }),
        }
    }
}

/// Returns what is asked for by `kindreg.toml`, then `KINDREG_*`, then flags; the later wins. What none of them sets, the
/// record decides later.
pub(super) fn request(
    invocation: &Invocation,
    flags: Option<&Flags>,
    need: Need,
) -> Result<Request> {
    let overrides = flags.map(|flags| flags.overrides(invocation));
    let shared = &invocation.shared;
    let name = shared.given_name.as_deref();
    let sources = Sources {
        folder: invocation.folder.as_deref(),
        config: shared.config.as_deref(),
        name: name.map(|name| given(invocation, "--name", name)),
        overrides: overrides.as_ref(),
    };
    settings(&sources, need)
}

fn given(invocation: &Invocation, flag: &str, text: &str) -> Given<String> {
    let from = flag_or_variable(flag, text, invocation.variable);
    Given::new(text.to_owned(), from)
}

/// Parses the value of one flag, for commands that take no [`Flags`].
pub(super) fn checked<T: FromStr<Err = Invalid>>(
    invocation: &Invocation,
    flag: &str,
    text: &str,
) -> Result<T> {
    let mut mistakes = Vec::new();
    let value = given(invocation, flag, text).parsed(&mut mistakes);
    value.map(|given| given.value).ok_or_else(|| {
        let what = mistakes.iter().map(ToString::to_string).collect::<String>();
        Problem::usage(what, "see the examples in --help").into()
    })
}

/// Parses the values of a flag that may be repeated.
pub(super) fn checked_all<T: FromStr<Err = Invalid>>(
    invocation: &Invocation,
    flag: &str,
    texts: &[String],
) -> Result<Vec<T>> {
    let texts = texts.iter();
    texts.map(|text| checked(invocation, flag, text)).collect()
}
