//! `kindreg secret`.

use anyhow::Result;
use clap::Args;

use super::cluster;
use super::invocation::Invocation;
use super::request::{checked, checked_all};
use super::session::Session;
use crate::ops::{self, Namespaces, SecretOptions};
use crate::problem::Exit;
use crate::report::MadeSecrets;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg secret --namespace team-a --namespace team-b --patch-serviceaccount default\n  \
    kindreg secret --all-namespaces\n  \
    kindreg secret --namespace prod --dry-run | kubectl --context rancher apply -f -\n\n\
    Pods of this cluster need no secret, as its nodes have the password. The secret is for manifests that name \
    imagePullSecrets, as production's often do, and for other clusters.")]
pub(super) struct Arguments {
    /// Namespace that gets the secret; can be repeated
    #[arg(
        long,
        short = 'n',
        env = "KINDREG_NAMESPACE",
        value_name = "NAMESPACE",
        value_delimiter = ',',
        default_value = "default",
        conflicts_with = "all_namespaces"
    )]
    namespace: Vec<String>,
    /// Use every namespace that the cluster has now
    #[arg(long, short = 'A', env = "KINDREG_ALL_NAMESPACES")]
    all_namespaces: bool,
    /// Name of the secret
    #[arg(
        long,
        env = "KINDREG_SECRET_NAME",
        default_value = "kindreg",
        value_name = "SECRET"
    )]
    secret_name: String,
    /// Service account whose new pods use the secret; can be repeated
    #[arg(
        long,
        env = "KINDREG_PATCH_SERVICEACCOUNT",
        value_name = "ACCOUNT",
        value_delimiter = ','
    )]
    patch_serviceaccount: Vec<String>,
    /// Print the manifest with the password in it, and create nothing
    #[arg(long, env = "KINDREG_DRY_RUN")]
    dry_run: bool,
}

impl Arguments {
    fn options(&self, invocation: &Invocation) -> Result<SecretOptions> {
        let named = checked_all(invocation, "--namespace", &self.namespace)?;
        Ok(SecretOptions {
            namespaces: if self.all_namespaces {
                Namespaces::All
            } else {
                Namespaces::Named(named)
            },
            name: checked(invocation, "--secret-name", &self.secret_name)?,
            accounts: checked_all(
                invocation,
                "--patch-serviceaccount",
                &self.patch_serviceaccount,
            )?,
        })
    }
}

pub(super) async fn run(invocation: &Invocation, arguments: &Arguments) -> Result<Exit> {
    let options = arguments.options(invocation)?;
    let name = cluster(invocation)?;
    let printer = &invocation.printer;
    let session = Session::open(invocation).await?;
    if arguments.dry_run {
        let manifests = ops::manifests(&session.client, &name, &options).await?;
        printer.out(&serde_json::to_string_pretty(&manifests)?);
        return Ok(Exit::Done);
    }
    let made = ops::secret(&session.client, &name, &options).await?;
    if invocation.shared.json {
        invocation.json(&made)?;
        return Ok(Exit::Done);
    }
    let MadeSecrets {
        secret,
        namespaces,
        service_accounts,
        ..
    } = made;
    let used = match service_accounts.as_slice() {
        [] => String::new(),
        [one] => format!("; service account {one} uses it"),
        all => format!("; service accounts {} use it", all.join(", ")),
    };
    for namespace in namespaces {
        printer.done(&format!(
            "Secret {secret} is up to date in namespace {namespace}{used}"
        ));
    }
    Ok(Exit::Done)
}
