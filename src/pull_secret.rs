//! imagePullSecrets: `kubernetes.io/dockerconfigjson`, for namespaces that are to be as in production, and for other
//! clusters.
//!
//! kubelet asks for the host and port of the image, and never for a scheme:
//! <https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/>.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::credentials::auths::{self, Entries};
use crate::kube::KubeError;
use crate::kube::name::{Namespace, ObjectName};
use crate::layout;
use crate::problem::Problem;
use crate::spec::{ClusterName, Spec};
use crate::step::Ctx;
use crate::steps::Passwords;
use crate::symptoms::{Meaning, shows};

const NAMESPACES: &str = "/api/v1/namespaces";
const PACE: Duration = Duration::from_millis(150);
/// The controller makes the account of a new namespace within moments; one that was never asked for does not come.
const ACCOUNT: Duration = Duration::from_secs(5);

fn entries(passwords: &Passwords) -> Entries<'_> {
    let entries = passwords.iter();
    entries
        .map(|(domain, user)| (domain.clone(), user))
        .collect()
}

/// The Secret of one namespace.
#[must_use]
pub fn manifest(
    cluster: &ClusterName,
    name: &ObjectName,
    namespace: &Namespace,
    passwords: &Passwords,
) -> Value {
    let config = auths::config(&entries(passwords));
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name.as_str(), "namespace": namespace.as_str(), "labels": {layout::LABEL_CLUSTER: cluster}},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": STANDARD.encode(config.expose_secret())},
    })
}

/// Every namespace that the cluster has now.
pub async fn namespaces(ctx: &Ctx) -> Result<Vec<Namespace>> {
    let list = ctx.kube.get(NAMESPACES).await?.unwrap_or_default();
    let items = list["items"].as_array().into_iter().flatten();
    let lasting = items.filter(|item| item["metadata"]["deletionTimestamp"].is_null());
    Ok(lasting
        .filter_map(|item| item["metadata"]["name"].as_str()?.parse().ok())
        .collect())
}

/// Makes the Secret in a namespace, or brings it up to date.
///
/// # Errors
/// There is a Secret of that name that isn't ours, or no such namespace.
pub async fn put(ctx: &Ctx, secret: &Value) -> Result<()> {
    let text = |key: &str| {
        secret["metadata"][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let (name, namespace) = (text("name"), text("namespace"));
    let collection = format!("{NAMESPACES}/{namespace}/secrets");
    let present = ctx.kube.get(&format!("{collection}/{name}")).await?;
    let label = |secret: &Value| secret["metadata"]["labels"][layout::LABEL_CLUSTER].clone();
    if present.is_some_and(|present| label(&present) != label(secret)) {
        return Err(Problem::foreign(
            format!("there is a secret {name} in namespace {namespace} that kindreg did not make"),
            format!(
                "choose another name with --secret-name, or remove it yourself: kubectl -n {namespace} delete secret {name}"
            ),
        )
        .into());
    }
    ctx.kube.put(&collection, secret).await.map_err(|error| {
        let absent =
            matches!(&error, KubeError::Refused { message, .. } if shows(message, Meaning::NoNamespace));
        let error = anyhow::Error::from(error);
        if absent {
            error.context(Problem::new(
                format!("there is no namespace {namespace}"),
                format!("make it first: kubectl create namespace {namespace}"),
            ))
        } else {
            error
        }
    })
}

/// Lets every pod of a service account pull with a Secret. Pods that are there keep what they were made with.
pub async fn attach(
    ctx: &Ctx,
    namespace: &Namespace,
    account: &ObjectName,
    secret: &ObjectName,
) -> Result<()> {
    let collection = format!("{NAMESPACES}/{namespace}/serviceaccounts");
    let start = Instant::now();
    let mut object = loop {
        match ctx.kube.get(&format!("{collection}/{account}")).await? {
            Some(object) => break object,
            None if start.elapsed() < ACCOUNT.min(ctx.patience) => ctx.pause(PACE).await?,
            None => {
                let what =
                    format!("there is no service account {account} in namespace {namespace}");
                let hint = format!(
                    "make it first: kubectl -n {namespace} create serviceaccount {account}"
                );
                return Err(Problem::new(what, hint).into());
            }
        }
    };
    let secrets = object["imagePullSecrets"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if secrets.iter().any(|one| one["name"] == secret.as_str()) {
        return Ok(());
    }
    object["imagePullSecrets"] = secrets
        .into_iter()
        .chain([json!({"name": secret.as_str()})])
        .collect();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        // An object to be made must not have one, and `put` tries that first.
        metadata.shift_remove("resourceVersion");
    }
    let put = ctx.kube.put(&collection, &object).await;
    put.with_context(|| format!("service account {account} in namespace {namespace}"))
}

/// Brings every Secret that was made here up to date; how many there were.
pub async fn renew(ctx: &Ctx, spec: &Spec, passwords: &Passwords) -> Result<usize> {
    let path = format!(
        "/api/v1/secrets?labelSelector={}%3D{}",
        layout::LABEL_CLUSTER,
        spec.cluster
    );
    let list = ctx.kube.get(&path).await?.unwrap_or_default();
    let items = list["items"].as_array().cloned().unwrap_or_default();
    for item in &items {
        let text = |key: &str| item["metadata"][key].as_str();
        let name = text("name").and_then(|name| name.parse().ok());
        let namespace = text("namespace").and_then(|namespace| namespace.parse().ok());
        if let Some((name, namespace)) = name.zip(namespace) {
            put(ctx, &manifest(&spec.cluster, &name, &namespace, passwords)).await?;
        }
    }
    Ok(items.len())
}
