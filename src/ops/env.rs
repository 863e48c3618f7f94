//! `env`: host, user and password of each registry as environment variables.

use anyhow::Result;
use secrecy::SecretString;

use super::credentials::at_hand;
use super::{Client, existing};
use crate::observe::credentials_of;
use crate::spec::ClusterName;
use crate::variables::{Format, Prefix, Secrets, formatted, prefix, variables};

/// How the variables are written.
#[derive(Debug, Clone)]
pub struct EnvOptions {
    /// The format of the text.
    pub format: Format,
    /// The prefix of the names; `None` for `KINDREG_` and the registry's name.
    pub prefix: Option<Prefix>,
    /// Whether passwords are shown.
    pub secrets: Secrets,
}

/// The variables of a cluster's registries.
#[derive(Debug)]
pub struct Written {
    /// The text.
    pub text: SecretString,
    /// The passwords in the text, for a job's log to mask; empty if they are masked already.
    pub shown: Vec<SecretString>,
}

/// Returns the variables of all registries of a cluster.
///
/// # Errors
/// There is no such cluster, or the user's credentials can't be read.
pub async fn env(client: &Client, cluster: &ClusterName, options: &EnvOptions) -> Result<Written> {
    let spec = existing(client, cluster).await?.current;
    let at_hand = at_hand(client, &spec)?;
    let (mut all, mut shown) = (Vec::new(), Vec::new());
    for registry in &spec.registries {
        let user = credentials_of(client.docker(), &spec, registry, &at_hand).await?;
        let prefix = match &options.prefix {
            None => prefix(registry),
            Some(prefix) if spec.registries.len() == 1 => prefix.clone(),
            Some(prefix) => prefix.of(registry),
        };
        all.extend(variables(&prefix, registry, user.as_ref(), options.secrets));
        match options.secrets {
            Secrets::Shown => shown.extend(user.map(|user| user.password().clone())),
            Secrets::Masked => {}
        }
    }
    let text = formatted(&all, options.format);
    Ok(Written { text, shown })
}
