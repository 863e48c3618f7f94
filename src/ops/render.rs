//! `render`: every file and manifest that `up` would create. It asks no engine.

use std::collections::BTreeMap;

use anyhow::Result;

use super::ports::Ports;
use crate::layout::{self, Layout};
use crate::plan;
use crate::registry::{Delivery, Managed, managed};
use crate::render as texts_of;
use crate::report::{Rendered, Text};
use crate::spec::request::Request;
use crate::spec::{HostTrust, Registry, Spec, Target, Trust};

/// Stands for a CA, which `up` creates.
const CA: &str = "-----BEGIN CERTIFICATE-----\nmade by `kindreg up`\n-----END CERTIFICATE-----\n";
/// Stands for the user's own CA.
const OWN_CA: &str =
    "-----BEGIN CERTIFICATE-----\nthe CA that `tls` names\n-----END CERTIFICATE-----\n";
/// Stands for the digest of the proof's image, which is new each time.
const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Returns all texts. The port `auto` becomes the first one from 5001 that the request leaves free.
///
/// # Errors
/// The request contradicts itself, or a text can't be rendered.
pub fn render(request: &Request) -> Result<Rendered> {
    let mut ports = Ports::offline(request);
    let spec = request.resolve(&mut |name| ports.free(name))?;
    Ok(Rendered {
        cluster: spec.cluster.to_string(),
        texts: texts(&spec)?,
    })
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)?)
}

fn texts(spec: &Spec) -> Result<Vec<Text>> {
    let layout = Layout::of(&spec.cluster);
    let mut all = vec![Text {
        name: "request.json".to_owned(),
        to: format!("label of container {}", layout.record()),
        text: json(spec)?,
    }];
    for registry in managed(spec) {
        all.extend(containers(&registry)?);
    }
    let Target::Owned(owned) = &spec.target;
    all.push(Text {
        name: "kind.yaml".to_owned(),
        to: "kind create cluster --config".to_owned(),
        text: texts_of::kind_config(&spec.cluster, owned)?,
    });
    for registry in &spec.registries {
        all.extend(trust(spec, registry)?);
    }
    all.extend(hosts(spec)?);
    if let Some(first) = plan::announced(spec) {
        let hosting = texts_of::hosting(&first.registry().domain(), &first.local_domain())?;
        all.push(Text {
            name: "local-registry-hosting.json".to_owned(),
            to: format!("PUT {}", layout::HOSTING),
            text: json(&hosting)?,
        });
    }
    for registry in managed(spec) {
        let images = proof_images(spec, &registry);
        all.extend(proof(spec, registry.registry(), &images)?);
    }
    for (registry, external) in spec.externals() {
        let images = texts_of::external_proof_images(spec, registry, external);
        all.extend(proof(spec, registry, &images)?);
    }
    Ok(all)
}

/// Returns the containers of a registry, and its configuration files.
fn containers(registry: &Managed) -> Result<Vec<Text>> {
    let mut all = Vec::new();
    for container in registry.containers()? {
        all.push(Text {
            name: format!("{}.json", container.name),
            to: format!("settings of container {}", container.name),
            text: json(&container)?,
        });
    }
    let container = registry.container_name();
    all.extend(registry.preview()?.into_iter().map(|file| Text {
        name: format!("{container}-{}", file.name),
        to: format!("{}/{} of container {container}", layout::SECRET, file.name),
        text: file.content,
    }));
    Ok(all)
}

/// Returns the CA for the engine's host and the nodes, and containerd's folders.
fn trust(spec: &Spec, registry: &Registry) -> Result<Vec<Text>> {
    let mut all = Vec::new();
    let ca = match registry.trust() {
        Trust::Stored if registry.own_certificate().is_some() => Some(OWN_CA),
        Trust::Stored => Some(CA),
        Trust::Given(ca) => Some(ca.pem()),
        Trust::Public => None,
    };
    if let (HostTrust::Install, Some(ca)) = (spec.host_trust, ca) {
        let path = format!(
            "{}/{}/{}",
            layout::HOST_CERTS,
            registry.domain(),
            Layout::of(&spec.cluster).host_ca()
        );
        all.push(Text {
            to: format!("/etc/{path} of the engine's host"),
            name: path,
            text: ca.to_owned(),
        });
        all.extend(loopback(spec, registry, ca)?);
    }
    let files: BTreeMap<_, _> = texts_of::node_files(registry, ca)?;
    all.extend(files.into_iter().map(|(path, content)| Text {
        name: format!("certs.d/{path}"),
        to: format!("{}/{path} of every node", layout::NODE_CERTS),
        text: String::from_utf8_lossy(&content).into_owned(),
    }));
    Ok(all)
}

/// Returns the files of `localhost:port` for the engine's host.
fn loopback(spec: &Spec, registry: &Registry, ca_pem: &str) -> Result<Vec<Text>> {
    let Some(domain) = registry.verified_local_domain() else {
        return Ok(Vec::new());
    };
    let ca = Layout::of(&spec.cluster).host_ca();
    let hosts = texts_of::engine_hosts_toml(&spec.cluster, &domain, Some(&ca))?;
    let text = |name: &str, text: String| {
        let path = format!("{}/{domain}/{name}", layout::HOST_CERTS);
        Text {
            to: format!("/etc/{path} of the engine's host"),
            name: path,
            text,
        }
    };
    Ok(vec![
        text(&ca, ca_pem.to_owned()),
        text(layout::HOSTS_TOML, hosts),
    ])
}

/// Returns the image of the proof under each name.
fn proof_images(spec: &Spec, registry: &Managed) -> Vec<String> {
    let image = match registry.delivery() {
        Delivery::Push => format!("kindreg/proof:{}", spec.cluster),
        Delivery::Store(_) => format!("kindreg/proof@{DIGEST}"),
    };
    let domains = registry.registry().proof_domains().into_iter();
    domains.map(|domain| format!("{domain}/{image}")).collect()
}

/// Returns the lines for `/etc/hosts` of every node, and what keeps them there.
fn hosts(spec: &Spec) -> Result<Vec<Text>> {
    let lines = texts_of::node_hosts(spec);
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let (script, drop_in) = texts_of::node_hosts_keeper()?;
    let script_path = format!("{}/{}", layout::NODE_STATE, layout::NODE_HOSTS_SCRIPT);
    let drop_in_path = format!("/{}", layout::NODE_HOSTS_DROP_IN);
    let text = |path: String, text| Text {
        name: path.trim_start_matches('/').to_owned(),
        to: format!("{path} of every node"),
        text,
    };
    Ok(vec![
        text("/etc/hosts".to_owned(), lines),
        text(script_path, script),
        text(drop_in_path, drop_in),
    ])
}

fn proof(spec: &Spec, registry: &Registry, images: &[String]) -> Result<Vec<Text>> {
    layout::nodes(spec)
        .iter()
        .map(|node| {
            let name = texts_of::proof_pod_name(registry, node);
            let pod = texts_of::proof_pod(registry, node, images);
            Ok(Text {
                name: format!("{name}.json"),
                to: format!("POST /api/v1/namespaces/default/pods, for node {node}"),
                text: json(&pod)?,
            })
        })
        .collect()
}
