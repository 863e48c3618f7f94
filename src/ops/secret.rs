//! `secret`: imagePullSecrets in chosen namespaces, or as a manifest for another cluster.

use anyhow::Result;
use serde_json::{Value, json};

use super::credentials::at_hand;
use super::{Client, existing};
use crate::kube::name::{Namespace, ObjectName};
use crate::observe::{Passwords, passwords};
use crate::problem::Problem;
use crate::report::MadeSecrets;
use crate::spec::ClusterName;
use crate::steps::cluster::{attach, manifest, namespaces, put};

/// The namespaces that get the secret.
#[derive(Debug, Clone)]
pub enum Namespaces {
    /// Those with these names.
    Named(Vec<Namespace>),
    /// All that the cluster has now.
    All,
}

/// Which secret is created, and who uses it.
#[derive(Debug, Clone)]
pub struct SecretOptions {
    /// The namespaces that get it.
    pub namespaces: Namespaces,
    /// Its name.
    pub name: ObjectName,
    /// Service accounts whose new pods pull with it.
    pub accounts: Vec<ObjectName>,
}

/// Creates or updates the secret in each namespace.
///
/// # Errors
/// There is no such cluster or namespace, no registry has a password, or another owner has a secret of that name.
pub async fn secret(
    client: &Client,
    cluster: &ClusterName,
    options: &SecretOptions,
) -> Result<MadeSecrets> {
    let ctx = client.ctx(cluster);
    let passwords = known(client, cluster).await?;
    let found = chosen(client, cluster, &options.namespaces).await?;
    for namespace in &found {
        put(
            &ctx,
            &manifest(cluster, &options.name, namespace, &passwords),
        )
        .await?;
        for account in &options.accounts {
            attach(&ctx, namespace, account, &options.name).await?;
        }
    }
    Ok(MadeSecrets {
        cluster: cluster.to_string(),
        secret: options.name.to_string(),
        namespaces: found.iter().map(ToString::to_string).collect(),
        service_accounts: options.accounts.iter().map(ToString::to_string).collect(),
    })
}

/// Returns the manifest of the secrets with their passwords, and creates nothing.
///
/// # Errors
/// There is no such cluster, or no registry has a password.
pub async fn manifests(
    client: &Client,
    cluster: &ClusterName,
    options: &SecretOptions,
) -> Result<Value> {
    let passwords = known(client, cluster).await?;
    let found = chosen(client, cluster, &options.namespaces).await?;
    let items = found
        .iter()
        .map(|namespace| manifest(cluster, &options.name, namespace, &passwords));
    let items: Vec<Value> = items.collect();
    Ok(match items.as_slice() {
        [one] => one.clone(),
        _ => json!({"apiVersion": "v1", "kind": "List", "items": items}),
    })
}

async fn known(client: &Client, cluster: &ClusterName) -> Result<Passwords> {
    let spec = existing(client, cluster).await?.current;
    let at_hand = at_hand(client, &spec)?;
    let passwords = passwords(client.docker(), &spec, &at_hand).await?;
    let passwords = passwords.ok_or_else(|| {
        Problem::not_ready(
            format!("the registry passwords of cluster {cluster} are missing"),
            format!("run: kindreg up --name {cluster}"),
        )
    })?;
    if passwords.is_empty() {
        return Err(Problem::not_ready(
            format!("no registry of cluster {cluster} needs a password"),
            "leave out imagePullSecrets; pods can pull without them",
        )
        .into());
    }
    Ok(passwords)
}

async fn chosen(
    client: &Client,
    cluster: &ClusterName,
    which: &Namespaces,
) -> Result<Vec<Namespace>> {
    match which {
        Namespaces::Named(names) => Ok(names.clone()),
        Namespaces::All => namespaces(&client.ctx(cluster)).await,
    }
}
