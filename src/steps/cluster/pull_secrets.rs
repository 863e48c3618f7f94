//! Step: `imagePullSecrets` of type `kubernetes.io/dockerconfigjson`, for namespaces that should work as in production,
//! and for other clusters.
//!
//! kubelet looks entries up by the host and port of the image, without a scheme:
//! <https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/>.

use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::credentials::auths::{self, Entries};
use crate::kube::KubeError;
use crate::kube::name::{Namespace, ObjectName};
use crate::layout;
use crate::observe::{Passwords, passwords};
use crate::problem::Problem;
use crate::spec::{ClusterName, Spec};
use crate::step::{Ctx, Leaves, Polled, State, Step, StepId};
use crate::symptoms::{Meaning, shows};

const NAMESPACES: &str = "/api/v1/namespaces";
const POLL_INTERVAL: Duration = Duration::from_millis(150);
/// How long to wait for a service account. The controller creates the default one moments after the namespace.
const ACCOUNT_TIMEOUT: Duration = Duration::from_secs(5);

fn entries(passwords: &Passwords) -> Entries<'_> {
    let entries = passwords.iter();
    entries
        .map(|(domain, user)| (domain.clone(), user))
        .collect()
}

/// Returns the Secret of one namespace, as JSON.
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

/// Returns the namespaces of the cluster, without those that are being deleted.
///
/// # Errors
/// The API server does not answer, or refuses.
pub async fn namespaces(ctx: &Ctx) -> Result<Vec<Namespace>> {
    let list = ctx.kube.get(NAMESPACES).await?.unwrap_or_default();
    let items = list["items"].as_array().into_iter().flatten();
    let lasting = items.filter(|item| item["metadata"]["deletionTimestamp"].is_null());
    Ok(lasting
        .filter_map(|item| item["metadata"]["name"].as_str()?.parse().ok())
        .collect())
}

/// Creates or updates a Secret.
///
/// # Errors
/// A Secret of that name is not ours, the namespace does not exist, or the API server refuses.
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
            format!("secret {name} in namespace {namespace} exists and was not created by kindreg"),
            format!(
                "choose another name with --secret-name, or run: kubectl -n {namespace} delete secret {name}"
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
                format!("namespace {namespace} does not exist"),
                format!("run: kubectl create namespace {namespace}"),
            ))
        } else {
            error
        }
    })
}

/// Adds a Secret to a service account, so that its new pods pull with it. Existing pods are not changed.
///
/// # Errors
/// The service account does not exist, or the API server refuses.
pub async fn attach(
    ctx: &Ctx,
    namespace: &Namespace,
    account: &ObjectName,
    secret: &ObjectName,
) -> Result<()> {
    let collection = format!("{NAMESPACES}/{namespace}/serviceaccounts");
    let path = &format!("{collection}/{account}");
    let soon = &ctx.patient_for(ACCOUNT_TIMEOUT.min(ctx.patience));
    let found = soon.poll(
        POLL_INTERVAL,
        || async move { Ok(soon.kube.get(path).await?) },
    );
    let Polled::Answer(mut object) = found.await? else {
        return Err(Problem::new(
            format!("service account {account} does not exist in namespace {namespace}"),
            format!("run: kubectl -n {namespace} create serviceaccount {account}"),
        )
        .into());
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
        // `put` tries to create the object first, and a new object must not have this field.
        metadata.shift_remove("resourceVersion");
    }
    let put = ctx.kube.put(&collection, &object).await;
    put.with_context(|| format!("can't update service account {account} in namespace {namespace}"))
}

/// The step that updates the passwords in all Secrets that kindreg created.
#[derive(Debug)]
pub struct PullSecrets {
    /// The Spec that is wanted.
    pub spec: Spec,
}

impl PullSecrets {
    /// Returns the existing Secrets, each with its wanted content.
    async fn found(&self, ctx: &Ctx) -> Result<Vec<(Value, Value)>> {
        let docker = &*ctx.docker;
        let passwords = passwords(docker, &self.spec, &ctx.external_credentials).await?;
        let path = format!(
            "/api/v1/secrets?labelSelector={}%3D{}",
            layout::LABEL_CLUSTER,
            self.spec.cluster
        );
        let list = ctx.kube.get(&path).await?.unwrap_or_default();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let pairs = items.into_iter().filter_map(|item| {
            let text = |key: &str| item["metadata"][key].as_str();
            let (name, namespace) = (
                text("name")?.parse().ok()?,
                text("namespace")?.parse().ok()?,
            );
            let wanted = manifest(&self.spec.cluster, &name, &namespace, passwords.as_ref()?);
            Some((item, wanted))
        });
        Ok(pairs.collect())
    }
}

#[async_trait]
impl Step for PullSecrets {
    fn id(&self) -> StepId {
        StepId::new("cluster.pull-secrets")
    }

    fn title(&self) -> String {
        "imagePullSecrets".to_owned()
    }

    fn leaves(&self) -> Leaves {
        Leaves::Nothing
    }

    async fn check(&self, ctx: &Ctx) -> Result<State> {
        let found = self.found(ctx).await?;
        let differs = found
            .iter()
            .any(|(item, wanted)| item["data"] != wanted["data"]);
        Ok(if differs {
            State::Drifted("outdated password".to_owned())
        } else {
            State::Ready
        })
    }

    async fn apply(&self, ctx: &Ctx) -> Result<()> {
        for (_, wanted) in self.found(ctx).await? {
            put(ctx, &wanted).await?;
        }
        Ok(())
    }
}
