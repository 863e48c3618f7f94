//! `kindreg secret`.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::request::{checked, checked_all};
use super::session::Session;
use super::{Shared, credentials, status};
use crate::kube::name::{Namespace, ObjectName};
use crate::problem::{Exit, Problem};
use crate::pull_secret::{attach, manifest, namespaces, put};
use crate::steps;
use crate::ui::Printer;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg secret --namespace team-a --namespace team-b --patch-serviceaccount default\n  \
    kindreg secret --all-namespaces\n  \
    kindreg secret --namespace prod --dry-run | kubectl --context rancher apply -f -\n\n\
    Pods need none of it in this cluster, as its nodes have the password. It is for manifests that name \
    imagePullSecrets, as production's do, and for other clusters.")]
pub(super) struct Arguments {
    /// Namespace that gets the secret; may be given several times
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
    /// Every namespace that the cluster has now
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
    /// Service account whose new pods pull with the secret; may be given several times
    #[arg(
        long,
        env = "KINDREG_PATCH_SERVICEACCOUNT",
        value_name = "ACCOUNT",
        value_delimiter = ','
    )]
    patch_serviceaccount: Vec<String>,
    /// Print the manifest, password included, and make nothing
    #[arg(long, env = "KINDREG_DRY_RUN")]
    dry_run: bool,
}

pub(super) async fn run(shared: &Shared, arguments: &Arguments, printer: Printer) -> Result<Exit> {
    let given = checked_all::<Namespace>("--namespace", &arguments.namespace)?;
    let name = &checked::<ObjectName>("--secret-name", &arguments.secret_name)?;
    let accounts: Vec<ObjectName> =
        checked_all("--patch-serviceaccount", &arguments.patch_serviceaccount)?;
    let mut session = Session::open(shared, printer).await?;
    let asked = steps::asked(&*session.docker, &shared.name).await?;
    let spec = asked.ok_or_else(|| status::nothing(shared))?.current;
    session.ctx.external_credentials = credentials::at_hand(&spec)?;
    let ctx = &session.ctx;
    let passwords = steps::passwords(ctx, &spec).await?.unwrap_or_default();
    if passwords.is_empty() {
        return Err(Problem::not_ready(
            format!("no registry of cluster {} has a password", spec.cluster),
            format!("give it one: kindreg up --name {}", spec.cluster),
        )
        .into());
    }
    let found = if arguments.all_namespaces {
        namespaces(ctx).await?
    } else {
        given
    };
    let secrets = found
        .iter()
        .map(|namespace| manifest(&spec.cluster, name, namespace, &passwords));
    if arguments.dry_run {
        let items: Vec<_> = secrets.collect();
        let list = match items.as_slice() {
            [one] => one.clone(),
            _ => json!({"apiVersion": "v1", "kind": "List", "items": items}),
        };
        printer.out(&serde_json::to_string_pretty(&list)?);
        return Ok(Exit::Done);
    }
    for (namespace, secret) in found.iter().zip(secrets) {
        put(ctx, &secret).await?;
        for account in &accounts {
            attach(ctx, namespace, account, name).await?;
        }
        if !shared.json {
            let patched = if accounts.is_empty() {
                String::new()
            } else {
                format!(", used by service account {}", texts(&accounts).join(", "))
            };
            printer.out(&format!("secret {name} in namespace {namespace}{patched}"));
        }
    }
    if shared.json {
        let product = json!({"cluster": spec.cluster, "secret": name.as_str(), "namespaces": texts(&found),
                             "serviceAccounts": texts(&accounts)});
        printer.out(&product.to_string());
    }
    Ok(Exit::Done)
}

fn texts<T: ToString>(names: &[T]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
