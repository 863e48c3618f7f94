//! `kindreg render`: every text that `up` would send anywhere, without an engine.

use anyhow::Result;
use clap::Args;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::Shared;
use super::request::Flags;
use crate::credentials::RegistryCredentials;
use crate::layout::{self, Layout};
use crate::plan;
use crate::ports::Ports;
use crate::problem::Exit;
use crate::registry::{distribution, upstream};
use crate::render;
use crate::spec::request::Request;
use crate::spec::{HostTrust, Registry, Spec};
use crate::ui::Printer;

/// Stands for a CA, which is made when it is needed and never before.
const CA: &str = "-----BEGIN CERTIFICATE-----\nmade by `kindreg up`\n-----END CERTIFICATE-----\n";
/// Stands for the digest of the proof's image, which is another one each time.
const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kindreg render\n  \
    kindreg render --workers 2 --host nexus.test\n  \
    kindreg render --json | jq -r '.texts[] | select(.name == \"kind.yaml\").text'\n\n\
    It asks no engine: a port that is auto is taken to be the first one from 5001 on.")]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) flags: Flags,
}

/// A text, and where it goes.
struct Text {
    name: String,
    to: String,
    content: String,
}

pub(super) fn run(
    shared: &Shared,
    _: &Arguments,
    request: &Request,
    printer: Printer,
) -> Result<Exit> {
    let mut ports = Ports::offline(request);
    let spec = request.resolve(&mut |name| ports.free(name))?;
    let texts = texts(&spec)?;
    if shared.json {
        let texts: Vec<Value> = texts
            .iter()
            .map(|text| json!({"name": text.name, "to": text.to, "text": text.content}))
            .collect();
        printer.out(&json!({"cluster": spec.cluster, "texts": texts}).to_string());
        return Ok(Exit::Done);
    }
    for text in texts {
        let heading = format!("===== {} -> {}", text.name, text.to);
        printer.out(&heading);
        printer.out(&format!("{}\n", text.content.trim_end()));
    }
    Ok(Exit::Done)
}

/// All of them, in the order in which `up` sends them.
fn texts(spec: &Spec) -> Result<Vec<Text>> {
    let mut all = vec![Text {
        name: "request.json".to_owned(),
        to: format!("label of container {}", Layout::of(&spec.cluster).record()),
        content: serde_json::to_string_pretty(spec)?,
    }];
    for registry in spec.ours() {
        let container = distribution::container(spec, registry);
        all.push(Text {
            name: format!("{}.json", container.name),
            to: format!("settings of container {}", container.name),
            content: serde_json::to_string_pretty(&container)?,
        });
        all.extend(upstream_config(registry, &container.name)?);
    }
    all.push(Text {
        name: "kind.yaml".to_owned(),
        to: "kind create cluster --config".to_owned(),
        content: render::kind_config(spec)?,
    });
    for registry in &spec.registries {
        all.extend(trust(spec, registry)?);
    }
    all.extend(hosts(spec)?);
    if let Some(first) = plan::announced(spec) {
        all.push(Text {
            name: "local-registry-hosting.json".to_owned(),
            to: format!("PUT {}", layout::HOSTING),
            content: serde_json::to_string_pretty(&render::hosting(first)?)?,
        });
    }
    for registry in spec.ours() {
        all.extend(proof(spec, registry, &proof_images(spec, registry))?);
    }
    for registry in spec.externals() {
        all.extend(proof(
            spec,
            registry,
            &render::external_proof_images(spec, registry),
        )?);
    }
    Ok(all)
}

/// The settings of a cache that logs in to its upstream; variables' names stand for what they hold.
fn upstream_config(registry: &Registry, container: &str) -> Result<Option<Text>> {
    let Some((of, names)) = registry.upstream_login() else {
        return Ok(None);
    };
    let [user, password] = [&names.username, &names.password].map(|name| format!("${name}"));
    let login = RegistryCredentials::given(user, password)?;
    let content = upstream::config(registry, of, &login)?;
    Ok(Some(Text {
        name: format!("{container}-{}", distribution::CONFIG),
        to: format!(
            "{}/{} of container {container}",
            layout::SECRET,
            distribution::CONFIG
        ),
        content: content.expose_secret().to_owned(),
    }))
}

/// The CA for the engine's host and the nodes, and containerd's folders.
fn trust(spec: &Spec, registry: &Registry) -> Result<Vec<Text>> {
    let mut all = Vec::new();
    let ca = registry
        .external()
        .map_or(Some(CA), |external| Some(external.ca.as_ref()?.pem()));
    if spec.host_trust == HostTrust::Install
        && let Some(ca) = ca
    {
        let path = format!(
            "{}/{}/{}",
            layout::HOST_CERTS,
            registry.domain(),
            Layout::of(&spec.cluster).host_ca()
        );
        all.push(Text {
            to: format!("/etc/{path} of the engine's host"),
            name: path,
            content: ca.to_owned(),
        });
    }
    for (path, content) in render::node_files(registry, CA)? {
        all.push(Text {
            name: format!("certs.d/{path}"),
            to: format!("{}/{path} of every node", layout::NODE_CERTS),
            content: String::from_utf8_lossy(&content).into_owned(),
        });
    }
    Ok(all)
}

/// The image that nodes are to pull, by each name.
fn proof_images(spec: &Spec, registry: &Registry) -> Vec<String> {
    let image = if registry.takes_pushes() {
        format!("kindreg/proof:{}", spec.cluster)
    } else {
        format!("kindreg/proof@{DIGEST}")
    };
    let domains = registry.proof_domains().into_iter();
    domains.map(|domain| format!("{domain}/{image}")).collect()
}

/// The lines for `/etc/hosts` of every node, and what keeps them there.
fn hosts(spec: &Spec) -> Result<Vec<Text>> {
    let lines = render::node_hosts(spec);
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let (script, drop_in) = render::node_hosts_keeper()?;
    let state = |name: &str| format!("{}/{name}", layout::NODE_STATE);
    let drop_in_path = format!("/{}", layout::NODE_HOSTS_DROP_IN);
    let text = |path: String, content| Text {
        name: path.trim_start_matches('/').to_owned(),
        to: format!("{path} of every node"),
        content,
    };
    Ok(vec![
        text("/etc/hosts".to_owned(), lines),
        text(state(layout::NODE_HOSTS_SCRIPT), script),
        text(drop_in_path, drop_in),
    ])
}

fn proof(spec: &Spec, registry: &Registry, images: &[String]) -> Result<Vec<Text>> {
    layout::nodes(spec)
        .iter()
        .map(|node| {
            let name = render::proof_pod_name(registry, node);
            let pod = render::proof_pod(registry, node, images);
            Ok(Text {
                name: format!("{name}.json"),
                to: format!("POST /api/v1/namespaces/default/pods, for node {node}"),
                content: serde_json::to_string_pretty(&pod)?,
            })
        })
        .collect()
}
