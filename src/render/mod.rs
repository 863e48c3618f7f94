//! Renders every text that kindreg sends anywhere, from `templates/` or as JSON. Pure.
//!
//! The values are newtypes that can't break out of their quotes, and every output is parsed back before it is returned:
//! containerd falls back silently if hosts.toml does not parse
//! (<https://github.com/containerd/containerd/blob/main/docs/hosts.md>).

use askama::Template;
use serde_json::{Value, json};

use crate::layout;
use crate::spec::{Backend, External, Registry, Spec};

mod containerd;
pub mod hosts;
mod kind;
mod node_hosts;

pub use containerd::{Unfit, containerd_config};
pub use hosts::{
    WRITTEN_BY_KINDREG, engine_hosts_owner, engine_hosts_toml, hosts_toml_without_ca,
    is_engine_hosts_of, node_files,
};
pub use kind::kind_config;
pub use node_hosts::{node_hosts, node_hosts_keeper, our_hosts};

/// A rendered text that does not parse back to its input: a bug in kindreg.
#[derive(Debug, thiserror::Error)]
#[error("invalid rendered {what}: {why}")]
pub struct Broken {
    what: &'static str,
    why: String,
}

fn broken(what: &'static str, why: &impl ToString) -> Broken {
    Broken {
        what,
        why: why.to_string(),
    }
}

#[derive(Template)]
#[template(path = "hosting.yaml", escape = "none")]
struct Hosting<'a> {
    local_domain: &'a str,
    domain: &'a str,
}

/// Returns the `ConfigMap` that tells tools which registry to use:
/// <https://github.com/kubernetes/enhancements/tree/master/keps/sig-cluster-lifecycle/generic/1755-communicating-a-local-registry>.
pub fn hosting(domain: &str, local_domain: &str) -> Result<Value, Broken> {
    let what = "local-registry-hosting";
    let text = Hosting {
        local_domain,
        domain,
    }
    .render()
    .map_err(|error| broken(what, &error))?;
    serde_yaml::from_str::<serde_yaml::Value>(&text).map_err(|error| broken(what, &error))?;
    Ok(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "local-registry-hosting", "namespace": "kube-public"},
        "data": {"localRegistryHosting.v1": text},
    }))
}

/// Returns the pod that proves one node, with one container for each image reference. It is bound to the node and
/// tolerates every taint. It uses the host's network and no service account token, so that it waits neither for CNI nor
/// for `kube-root-ca.crt`.
#[must_use]
pub fn proof_pod(registry: &Registry, node: &str, images: &[String]) -> Value {
    let containers: Vec<Value> = images
        .iter()
        .enumerate()
        .map(|(number, image)| {
            let mut container = json!({"name": format!("pull-{number}"), "image": image, "imagePullPolicy": "Always"});
            match registry.backend {
                Backend::Distribution(_) => {}
                // No image has this program, so that an external image is pulled and never run.
                Backend::External(_) => container["command"] = json!(["/kindreg/proof"]),
            }
            container
        })
        .collect();
    let restart = match registry.backend {
        // A node's runtime can fail to start a program after a good pull, as runc on cgroup v1 sometimes does:
        // https://github.com/kubernetes/kubernetes/issues/131087. kubelet then pulls and starts it again.
        Backend::Distribution(_) => "OnFailure",
        Backend::External(_) => "Never",
    };
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": proof_pod_name(registry, node), "namespace": "default", "labels": {layout::PROOF_POD: registry.name}},
        "spec": {
            "nodeName": node,
            "hostNetwork": true,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "restartPolicy": restart,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": containers,
        },
    })
}

/// Returns the images that the proof of an external registry pulls, one for each name of the registry: the image that
/// `proof` names, or one that does not exist.
#[must_use]
pub fn external_proof_images(spec: &Spec, registry: &Registry, external: &External) -> Vec<String> {
    let image = external.proof.as_ref().map_or_else(
        || format!("kindreg/proof:{}", spec.cluster),
        ToString::to_string,
    );
    let domains = registry.domains();
    domains
        .iter()
        .map(|domain| format!("{domain}/{image}"))
        .collect()
}

/// Returns the name of the pod that proves a registry on a node.
#[must_use]
pub fn proof_pod_name(registry: &Registry, node: &str) -> String {
    format!("kindreg-proof-{}-{node}", registry.name)
}
