//! What a found file asks of the cluster: images and a kind configuration, which run with full access to the host.

use serde_yaml::Value;

use super::{Change, Question};
use crate::spec::{KindConfig, Target};

/// Returns the questions about the nodes.
pub(super) fn questions(change: Change<'_>) -> Vec<Question> {
    let mut all = Vec::new();
    let Target::Owned(wanted) = &change.spec.target;
    let before = change.before.map(|before| {
        let Target::Owned(before) = &before.target;
        before
    });
    let image = &wanted.node_image;
    if change.is_found(&change.request.node_image)
        && !image.is_default_of_kind()
        && before.map(|before| &before.node_image) != Some(image)
    {
        all.push(Question::new(format!(
            "the nodes will be made from image {image}, in privileged containers of the engine's host"
        )));
    }
    if let (Some(given), Some(config)) = (&change.request.kind_config, &wanted.kind_config)
        && change.is_found(given)
        && before.and_then(|before| before.kind_config.as_ref()) != Some(config)
    {
        all.push(Question::new(configured(config)));
    }
    all
}

/// Returns the question about a kind configuration: first what reaches out of the nodes, then all of it.
fn configured(config: &KindConfig) -> String {
    let reaches = reaches(config);
    let reaches = match reaches.as_slice() {
        [] => String::new(),
        some => format!(", which {}", some.join(", ")),
    };
    let text = config.to_string();
    let lines = text.trim_end().lines().map(|line| format!("\n    {line}"));
    format!(
        "kind will create the nodes from this configuration{reaches}:{}",
        lines.collect::<String>()
    )
}

fn reaches(config: &KindConfig) -> Vec<String> {
    let mut all = Vec::new();
    for node in items(config.value().get("nodes")) {
        if let Some(image) = node.get("image") {
            all.push(format!("runs image {}", plain(image)));
        }
        for mount in items(node.get("extraMounts")) {
            let path = mount.get("hostPath").map(plain).unwrap_or_default();
            all.push(format!("mounts {path} of the engine's host"));
        }
        for mapping in items(node.get("extraPortMappings")) {
            let text = |key: &str| mapping.get(key).map(plain);
            let address = text("listenAddress").filter(|address| !address.is_empty());
            all.push(format!(
                "publishes port {}:{}",
                address.as_deref().unwrap_or("0.0.0.0"),
                text("hostPort").as_deref().unwrap_or("auto")
            ));
        }
    }
    let networking = config.value().get("networking");
    if let Some(address) = networking.and_then(|it| it.get("apiServerAddress")) {
        all.push(format!("publishes the API server at {}", plain(address)));
    }
    all.dedup();
    all
}

fn items(list: Option<&Value>) -> &[Value] {
    list.and_then(Value::as_sequence).map_or(&[], Vec::as_slice)
}

/// Returns a scalar as people write it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_yaml::to_string(other)
            .unwrap_or_default()
            .trim_end()
            .to_owned(),
    }
}
