//! Renders kind's configuration of the cluster, merged into the user's own if there is one.
//! <https://kind.sigs.k8s.io/docs/user/configuration/>

use askama::Template;
use serde_yaml::{Mapping, Value};

use super::{Broken, broken};
use crate::layout;
use crate::spec::{ClusterName, KindConfig, OwnedCluster};

const WHAT: &str = "kind configuration";

#[derive(Template)]
#[template(path = "kind.yaml", escape = "none")]
struct Plain<'a> {
    cluster: &'a str,
    certs: &'a str,
    image: &'a str,
    control_planes: u16,
    workers: u16,
}

/// Returns kind's configuration of the cluster, as YAML.
///
/// # Errors
/// The text does not parse back to the same cluster.
pub fn kind_config(cluster: &ClusterName, owned: &OwnedCluster) -> Result<String, Broken> {
    let text = Plain {
        cluster: cluster.as_str(),
        certs: layout::NODE_CERTS,
        image: owned.node_image.as_str(),
        control_planes: owned.control_planes.number(),
        workers: owned.workers.number(),
    }
    .render()
    .map_err(|error| broken(WHAT, &error))?;
    let text = match &owned.kind_config {
        None => text,
        Some(theirs) => {
            let ours = serde_yaml::from_str(&text).map_err(|error| broken(WHAT, &error))?;
            serde_yaml::to_string(&merged(theirs, ours)).map_err(|error| broken(WHAT, &error))?
        }
    };
    read_back(&text, cluster, owned)?;
    Ok(text)
}

/// Returns the user's configuration with our name, patches and `config_path`, and with our image for nodes without one.
fn merged(theirs: &KindConfig, ours: Mapping) -> Mapping {
    let set_already = theirs.sets_config_path();
    let image = ours
        .get("nodes")
        .and_then(|nodes| nodes.get(0)?.get("image"))
        .cloned();
    let mut all = Mapping::new();
    // The usual first keys come from ours; then all other keys of the user's.
    for key in ["kind", "apiVersion", "name"] {
        all.extend(ours.get(key).map(|value| (Value::from(key), value.clone())));
    }
    for (key, value) in theirs.value() {
        if !all.contains_key(key) && !value.is_null() {
            all.insert(key.clone(), value.clone());
        }
    }
    for (key, value) in ours {
        match (key.as_str(), all.get_mut(&key)) {
            (_, None) if set_already && key.as_str() == Some("containerdConfigPatches") => {}
            (_, None) => drop(all.insert(key, value)),
            // kind applies patches in order, so that ours, the last one, wins.
            (Some("containerdConfigPatches"), Some(Value::Sequence(patches))) if !set_already => {
                patches.extend(value.as_sequence().into_iter().flatten().cloned());
            }
            // Ours first, so that the user's own wins.
            (Some("kubeadmConfigPatches"), Some(Value::Sequence(patches))) => {
                patches.splice(0..0, value.as_sequence().into_iter().flatten().cloned());
            }
            (Some("nodes"), Some(Value::Sequence(nodes))) if nodes.is_empty() => {
                nodes.extend(value.as_sequence().into_iter().flatten().cloned());
            }
            (Some("nodes"), Some(Value::Sequence(nodes))) => {
                for node in nodes.iter_mut().filter_map(Value::as_mapping_mut) {
                    if let (None, Some(image)) = (node.get("image"), &image) {
                        node.insert(Value::from("image"), image.clone());
                    }
                }
            }
            _ => {}
        }
    }
    all
}

fn read_back(text: &str, cluster: &ClusterName, owned: &OwnedCluster) -> Result<(), Broken> {
    let read: Value = serde_yaml::from_str(text).map_err(|error| broken(WHAT, &error))?;
    if read.get("name").and_then(Value::as_str) != Some(cluster.as_str()) {
        return Err(broken(WHAT, &"wrong cluster name"));
    }
    // The result must pass the same checks as a user's configuration.
    let config: KindConfig = text.parse().map_err(|error| broken(WHAT, &error))?;
    if config.nodes() != Some((owned.control_planes, owned.workers)) {
        return Err(broken(WHAT, &"wrong number of nodes"));
    }
    if !config.sets_config_path() {
        return Err(broken(WHAT, &"no config_path for containerd"));
    }
    Ok(())
}
