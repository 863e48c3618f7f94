//! Flags that say what is wanted, as overrides of `kindreg.toml`.

use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use clap::builder::FalseyValueParser;

use super::Shared;
use crate::ops::{Need, Sources, settings};
use crate::problem::Problem;
use crate::spec::mistake::{Given, Source};
use crate::spec::overrides::{Overrides, flag_or_variable};
use crate::spec::request::Request;
use crate::spec::{Auth, HostTrust, Invalid};

/// Flags that say what is wanted. Their values are read here and not by clap, which would stop at the first mistake.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What is wanted (over kindreg.toml)")]
pub(super) struct Flags {
    /// Worker nodes besides the control plane [default: 0]
    #[arg(
        long,
        env = "KINDREG_WORKERS",
        value_name = "N",
        allow_hyphen_values = true
    )]
    workers: Option<String>,
    /// Canonical host name of the registry [default: registry.test]
    #[arg(long, env = "KINDREG_HOST", value_name = "NAME")]
    host: Option<String>,
    /// Port of the registry, the same inside and outside; `auto` finds a free one [default: 5001]
    #[arg(
        long,
        env = "KINDREG_PORT",
        value_name = "N",
        allow_hyphen_values = true
    )]
    port: Option<String>,
    /// Image of the nodes [default: kindest/node:v1.34.0]
    #[arg(long, env = "KINDREG_IMAGE", value_name = "NODE_IMAGE")]
    image: Option<String>,
    /// Image of the registry [default: registry:3]
    #[arg(long, env = "KINDREG_REGISTRY_IMAGE", value_name = "IMAGE")]
    registry_image: Option<String>,
    /// Leave /etc/docker/certs.d of the engine's host as it is; `=false` overrides the file
    #[arg(long, env = "KINDREG_NO_HOST_TRUST", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = FalseyValueParser::new())]
    no_host_trust: Option<bool>,
    /// Let everybody use the registries, without a password; `=false` overrides the file
    #[arg(long, env = "KINDREG_NO_AUTH", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = FalseyValueParser::new())]
    no_auth: Option<bool>,
}

impl Flags {
    fn overrides(&self) -> Overrides {
        let text = |flag, text: &Option<String>| text.as_deref().map(|text| given(flag, text));
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
                if open {
                    Auth::Anonymous
                } else {
                    Auth::Password
                }
            }),
        }
    }
}

/// What is asked for: `kindreg.toml`, then `KINDREG_*`, then flags; the later wins.
pub(super) fn request(shared: &Shared, flags: Option<&Flags>, need: Need) -> Result<Request> {
    let overrides = flags.map(Flags::overrides);
    let name = shared.given_name.as_deref();
    let sources = Sources {
        config: shared.config.as_deref(),
        name: name.map(|name| given("--name", name)),
        overrides: overrides.as_ref(),
    };
    settings(&sources, need)
}

fn given(flag: &str, text: &str) -> Given<String> {
    let from = flag_or_variable(flag, text, |name| std::env::var(name).ok());
    Given::new(text.to_owned(), from)
}

/// The value of one flag, for commands that take no [`Flags`].
pub(super) fn checked<T: FromStr<Err = Invalid>>(flag: &str, text: &str) -> Result<T> {
    let mut mistakes = Vec::new();
    let value = given(flag, text).parsed(&mut mistakes);
    value.map(|given| given.value).ok_or_else(|| {
        let what = mistakes.iter().map(ToString::to_string).collect::<String>();
        Problem::usage(what, "see the examples: --help").into()
    })
}

/// The same for a flag that may be given several times.
pub(super) fn checked_all<T: FromStr<Err = Invalid>>(
    flag: &str,
    texts: &[String],
) -> Result<Vec<T>> {
    texts.iter().map(|text| checked(flag, text)).collect()
}
