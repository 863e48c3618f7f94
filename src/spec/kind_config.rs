//! The user's own kind configuration (YAML, v1alpha4): <https://kind.sigs.k8s.io/docs/user/configuration/>.
//!
//! Only settings that would break the nodes' trust are refused. `render` merges it with kindreg's settings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_yaml::{Mapping, Value};

use super::{ControlPlanes, Invalid, Workers};

/// containerd's folder of registry settings, which kindreg writes to.
const CERTS: &str = "/etc/containerd/certs.d";
/// Folders of a node that can't be mounts: kindreg writes there, and would write to the mounted folder.
const WRITTEN: [&str; 2] = [CERTS, "/var/lib/kindreg"];
/// The CRI plug-in with the registry settings, by its names in containerd 1 and 2.
pub(crate) const PLUGINS: [&str; 2] = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"];

/// Who installs the plug-in that gives pods their network. Without one no node becomes Ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CniPlugin {
    /// kind.
    Kinds,
    /// The user, once the cluster is there (`networking.disableDefaultCNI`).
    Users,
}

/// Whether nodes and services have IPv6 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpFamily {
    /// They need none.
    Ipv4,
    /// They have them, alone or beside IPv4 addresses (`networking.ipFamily: ipv6` or `dual`).
    Ipv6,
}

/// A valid kind configuration, which kindreg's settings can be merged into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KindConfig {
    /// The value as YAML, without comments: a changed comment must not look like a changed request.
    text: String,
    value: Mapping,
}

impl KindConfig {
    /// Reads a configuration from YAML.
    ///
    /// # Errors
    /// Everything that is wrong with it, one text each.
    pub fn read(text: &str) -> Result<Self, Vec<String>> {
        let value: Value =
            serde_yaml::from_str(text).map_err(|error| vec![format!("invalid YAML: {error}")])?;
        let Value::Mapping(value) = value else {
            return Err(vec!["must be a YAML mapping".to_owned()]);
        };
        let mut wrong = Vec::new();
        header(&value, &mut wrong);
        nodes(&value, &mut wrong);
        patches(&value, &mut wrong);
        let text = serde_yaml::to_string(&value).map_err(|error| vec![error.to_string()])?;
        if wrong.is_empty() {
            Ok(Self { text, value })
        } else {
            Err(wrong)
        }
    }

    /// Returns the whole configuration.
    #[must_use]
    pub const fn value(&self) -> &Mapping {
        &self.value
    }

    /// Returns the cluster's name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.value.get("name").and_then(Value::as_str)
    }

    /// Returns the numbers of nodes that it lists; `None` if it lists none.
    #[must_use]
    pub fn nodes(&self) -> Option<(ControlPlanes, Workers)> {
        count(list(&self.value, "nodes")).ok()?
    }

    /// Returns the ports of the engine's host that it publishes.
    #[must_use]
    pub fn host_ports(&self) -> Vec<u16> {
        let nodes = list(&self.value, "nodes").iter();
        nodes
            .flat_map(|node| items(node, "extraPortMappings"))
            .filter_map(|mapping| u16::try_from(mapping.get("hostPort")?.as_u64()?).ok())
            .collect()
    }

    /// Returns who installs the CNI plug-in.
    #[must_use]
    pub fn cni_plugin(&self) -> CniPlugin {
        match self
            .networking("disableDefaultCNI")
            .and_then(Value::as_bool)
        {
            Some(true) => CniPlugin::Users,
            Some(false) | None => CniPlugin::Kinds,
        }
    }

    /// Returns whether nodes and services have IPv6 addresses.
    #[must_use]
    pub fn ip_family(&self) -> IpFamily {
        match self.networking("ipFamily").and_then(Value::as_str) {
            Some("ipv6" | "dual") => IpFamily::Ipv6,
            Some(_) | None => IpFamily::Ipv4,
        }
    }

    fn networking(&self, key: &str) -> Option<&Value> {
        self.value.get("networking")?.get(key)
    }

    /// Returns whether it sets the `config_path` that every containerd reads. A valid one sets it to the folder that
    /// kindreg writes to. containerd 1 does not know the plug-in's other name, which containerd 2 reads too.
    #[must_use]
    pub fn sets_config_path(&self) -> bool {
        list(&self.value, "containerdConfigPatches")
            .iter()
            .filter_map(|patch| patch.as_str()?.parse::<toml::Table>().ok())
            .filter_map(|patch| registry_table(&patch, PLUGINS[0]).cloned())
            .any(|table| table.contains_key("config_path"))
    }
}

fn header(config: &Mapping, wrong: &mut Vec<String>) {
    for (key, expected) in [
        ("kind", "Cluster"),
        ("apiVersion", "kind.x-k8s.io/v1alpha4"),
    ] {
        if config
            .get(key)
            .is_some_and(|value| value.as_str() != Some(expected))
        {
            wrong.push(format!("`{key}` must be {expected:?}"));
        }
    }
    if config.get("name").is_some_and(|name| !name.is_string()) {
        wrong.push("`name` must be a string".to_owned());
    }
    for key in [
        "nodes",
        "kubeadmConfigPatches",
        "containerdConfigPatches",
        "containerdConfigPatchesJSON6902",
    ] {
        if config
            .get(key)
            .is_some_and(|value| !value.is_sequence() && !value.is_null())
        {
            wrong.push(format!("`{key}` must be a list"));
        }
    }
}

fn nodes(config: &Mapping, wrong: &mut Vec<String>) {
    let nodes = list(config, "nodes");
    if let Err(why) = count(nodes) {
        wrong.push(why);
    }
    for (number, node) in nodes.iter().enumerate() {
        if !node.is_mapping() {
            wrong.push(format!("nodes[{number}] must be a mapping"));
        }
        if let Some(image) = node.get("image")
            && image
                .as_str()
                .is_none_or(|image| image.parse::<super::ImageRef>().is_err())
        {
            wrong.push(format!("nodes[{number}].image must be an image reference"));
        }
        for (mount_number, mount) in items(node, "extraMounts").iter().enumerate() {
            let path = mount
                .get("containerPath")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if !path.is_empty() && WRITTEN.iter().any(|written| overlaps(path, written)) {
                wrong.push(format!(
                    "nodes[{number}].extraMounts[{mount_number}] can't mount {path}: kindreg writes there, and would \
                     write to the mounted folder"
                ));
            }
        }
    }
}

/// Returns whether a JSON pointer (RFC 6901) leads to containerd's registries, to something in them, or to what they are
/// in, which an operation may replace as a whole.
fn touches_registries(pointer: &str) -> bool {
    let parts = pointer.split('/').skip(1);
    let parts: Vec<String> = parts
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect();
    PLUGINS.iter().any(|plugin| {
        let registry = ["plugins", plugin, "registry"];
        parts.iter().zip(registry).all(|(part, name)| part == name)
    })
}

/// Returns whether one of two paths is the other or lies within it.
fn overlaps(path: &str, other: &str) -> bool {
    let parts = |path: &str| -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part.to_owned()),
            }
        }
        parts
    };
    parts(path).iter().zip(&parts(other)).all(|(a, b)| a == b)
}

/// Returns how many control planes and workers a list of nodes has.
fn count(nodes: &[Value]) -> Result<Option<(ControlPlanes, Workers)>, String> {
    if nodes.is_empty() {
        return Ok(None);
    }
    let (mut control_planes, mut workers) = (0_u16, 0_u16);
    for (number, node) in nodes.iter().enumerate() {
        match node
            .get("role")
            .map(|role| role.as_str().unwrap_or_default())
        {
            // This is kind's own default.
            None | Some("control-plane") => control_planes = control_planes.saturating_add(1),
            Some("worker") => workers = workers.saturating_add(1),
            Some(_) => {
                return Err(format!(
                    "nodes[{number}].role must be control-plane or worker"
                ));
            }
        }
    }
    let refused = |invalid: Invalid| format!("nodes: {invalid}");
    let control_planes = ControlPlanes::new(control_planes).map_err(refused)?;
    Ok(Some((
        control_planes,
        Workers::new(workers).map_err(refused)?,
    )))
}

fn patches(config: &Mapping, wrong: &mut Vec<String>) {
    for (number, patch) in list(config, "containerdConfigPatches").iter().enumerate() {
        let here = format!("containerdConfigPatches[{number}]");
        let Some(text) = patch.as_str() else {
            wrong.push(format!("{here} must be a string"));
            continue;
        };
        match text.parse::<toml::Table>() {
            Ok(table) => toml_patch(&here, &table, wrong),
            Err(error) => wrong.push(format!("{here}: invalid TOML: {}", error.message())),
        }
    }
    for (number, patch) in list(config, "containerdConfigPatchesJSON6902")
        .iter()
        .enumerate()
    {
        let operations: Option<Vec<Value>> = patch
            .as_str()
            .and_then(|text| serde_yaml::from_str(text).ok());
        let Some(operations) = operations else {
            wrong.push(format!(
                "containerdConfigPatchesJSON6902[{number}] must be a list of operations"
            ));
            continue;
        };
        // kind applies these after all other patches, kindreg's own included, so none may touch registries.
        let registry = |operation: &Value| {
            ["path", "from"].iter().any(|key| {
                let path = operation.get(key).and_then(Value::as_str);
                path.is_some_and(touches_registries)
            })
        };
        if operations.iter().any(registry) {
            wrong.push(format!(
                "containerdConfigPatchesJSON6902[{number}] can't change containerd's registries: kindreg sets them"
            ));
        }
    }
}

fn toml_patch(here: &str, patch: &toml::Table, wrong: &mut Vec<String>) {
    if let Some(version) = patch.get("version") {
        wrong.push(format!(
            "{here} can't have version = {version}: kind silently skips the patch if the node's containerd has another \
             version; remove that line"
        ));
    }
    for table in registry_tables(patch) {
        for key in ["mirrors", "configs"] {
            if table.contains_key(key) {
                wrong.push(format!(
                    "{here} can't set registry.{key}: together with config_path, containerd does not load its CRI \
                     plug-in (https://github.com/containerd/containerd/blob/main/docs/cri/registry.md); \
                     use [registry.NAME] in kindreg.toml, with mirror_of for a mirror"
                ));
            }
        }
        let config_path = table.get("config_path");
        if config_path.is_some_and(|path| path.as_str() != Some(CERTS)) {
            wrong.push(format!(
                "{here} can't set config_path to a folder other than {CERTS}, which kindreg writes to"
            ));
        }
    }
}

/// Returns the `registry` tables of a containerd configuration or of a patch of one.
pub(crate) fn registry_tables(patch: &toml::Table) -> impl Iterator<Item = &toml::Table> {
    PLUGINS
        .iter()
        .filter_map(|plugin| registry_table(patch, plugin))
}

fn registry_table<'a>(patch: &'a toml::Table, plugin: &str) -> Option<&'a toml::Table> {
    let plugins = patch.get("plugins")?;
    plugins.get(plugin)?.get("registry")?.as_table()
}

fn list<'a>(config: &'a Mapping, key: &str) -> &'a [Value] {
    config
        .get(key)
        .and_then(Value::as_sequence)
        .map_or(&[], Vec::as_slice)
}

fn items<'a>(node: &'a Value, key: &str) -> &'a [Value] {
    node.get(key)
        .and_then(Value::as_sequence)
        .map_or(&[], Vec::as_slice)
}

impl FromStr for KindConfig {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::read(text).map_err(|complaints| Invalid {
            what: "kind configuration",
            value: text.chars().take(60).collect(),
            why: complaints.join("; "),
        })
    }
}

impl TryFrom<String> for KindConfig {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<KindConfig> for String {
    fn from(config: KindConfig) -> Self {
        config.text
    }
}

impl fmt::Display for KindConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
