//! Sets `config_path` in the containerd configuration of a node that kind did not create.
//! <https://github.com/containerd/containerd/blob/main/docs/cri/config.md#registry-configuration>
//!
//! containerd 2.2.2 and later reads certs.d without the setting, but nothing shows which version does; the setting is
//! right for all of them.

use toml::{Table, Value};

use crate::layout;
use crate::spec::{PLUGINS, registry_tables};

/// The reason why `config_path` can't be added to a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(String);

/// Returns the configuration with `config_path` set to certs.d; `None` if it already is.
///
/// Values are kept and comments are lost, as with kind's own patches.
///
/// # Errors
/// The text is not TOML of version 2 or 3, or has settings that conflict with `config_path`.
pub fn containerd_config(text: &str) -> Result<Option<String>, Unfit> {
    let mut config = read(text)?;
    if config_paths(&config).any(has_ours) {
        return Ok(None);
    }
    if let Some(other) = config_paths(&config).find(|path| !path.is_empty()) {
        return Err(Unfit(format!(
            "config_path is {other}, without {}",
            layout::NODE_CERTS
        )));
    }
    // With these and config_path, CRI does not load, although a restart of containerd succeeds:
    // https://github.com/containerd/containerd/blob/main/docs/cri/registry.md
    for key in ["mirrors", "configs"] {
        if registry_tables(&config).any(|table| table.contains_key(key)) {
            return Err(Unfit(format!("registry.{key} conflicts with config_path")));
        }
    }
    let plugin = match config.get("version").and_then(Value::as_integer) {
        Some(2) => PLUGINS[0],
        Some(3) => PLUGINS[1],
        _ => return Err(Unfit("unsupported version: must be 2 or 3".to_owned())),
    };
    let mut table = &mut config;
    for key in ["plugins", plugin, "registry"] {
        let next = table.entry(key).or_insert_with(|| Table::new().into());
        let found = next.as_table_mut();
        table = found.ok_or_else(|| Unfit(format!("{key} is not a table")))?;
    }
    table.insert("config_path".to_owned(), layout::NODE_CERTS.into());
    let text = toml::to_string(&config).map_err(|error| Unfit(error.to_string()))?;
    if read(&text)? == config {
        Ok(Some(text))
    } else {
        Err(Unfit("the new text does not parse back".to_owned()))
    }
}

fn read(text: &str) -> Result<Table, Unfit> {
    let read: Result<Table, toml::de::Error> = text.parse();
    read.map_err(|error| Unfit(format!("invalid TOML: {}", error.message())))
}

fn config_paths(config: &Table) -> impl Iterator<Item = &str> {
    registry_tables(config).filter_map(|registry| registry.get("config_path")?.as_str())
}

/// Returns whether a `config_path`, which is a list like PATH, has certs.d.
fn has_ours(path: &str) -> bool {
    path.split(':').any(|folder| folder == layout::NODE_CERTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRPC: &str = r#"[plugins."io.containerd.grpc.v1.cri".registry]"#;
    const IMAGES: &str = r#"[plugins."io.containerd.cri.v1.images".registry]"#;
    const OURS: &str = r#"config_path = "/etc/containerd/certs.d""#;

    #[test]
    fn config_path_is_added_and_other_settings_stay() {
        let node = "# kind's\nversion = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n\
                    discard_unpacked_layers = true\n";
        let text = containerd_config(node).unwrap().unwrap();
        assert!(
            text.contains("discard_unpacked_layers = true") && text.contains("version = 2"),
            "{text}"
        );
        assert!(text.contains(&format!("{GRPC}\n{OURS}")), "{text}");
        assert_eq!(
            containerd_config(&text),
            Ok(None),
            "a second time changes nothing"
        );
        let text = containerd_config("version = 3\n").unwrap().unwrap();
        assert!(text.contains(&format!("{IMAGES}\n{OURS}")), "{text}");
        let empty = format!("version = 2\n{GRPC}\nconfig_path = \"\"\n");
        assert!(containerd_config(&empty).unwrap().is_some());
    }

    #[test]
    fn config_path_list_with_certs_d_is_left_unchanged() {
        for table in [GRPC, IMAGES] {
            let node =
                format!("version = 2\n{table}\nconfig_path = \"/etc/x:/etc/containerd/certs.d\"\n");
            assert_eq!(containerd_config(&node), Ok(None));
        }
    }

    #[test]
    fn settings_that_would_break_cri_are_refused_by_name() {
        let mirrors = format!(
            "version = 2\n{GRPC}\n{}",
            GRPC.replace("registry", "registry.mirrors.x")
        );
        let other = format!("version = 2\n{GRPC}\nconfig_path = \"/etc/other\"\n");
        for (node, why) in [
            (mirrors.as_str(), "registry.mirrors"),
            (other.as_str(), "/etc/other"),
            ("", "version"),
            ("version = 2\nplugins = 1\n", "plugins is not a table"),
            ("= nonsense", "invalid TOML"),
        ] {
            let said = containerd_config(node).unwrap_err().to_string();
            assert!(said.contains(why), "{node:?}: {said}");
        }
    }
}
