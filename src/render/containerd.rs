//! containerd's own configuration of a node that kind did not configure: `config_path` is set, and nothing else.
//! <https://github.com/containerd/containerd/blob/main/docs/cri/config.md#registry-configuration>
//!
//! containerd from 2.2.2 on looks into certs.d unasked, and does not say so; one that is asked to looks there too.

use toml::{Table, Value};

use crate::layout;
use crate::spec::{PLUGINS, registry_tables};

/// A configuration that can't be given a `config_path`; why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(String);

/// A configuration with which containerd looks into certs.d; `None` where it does already.
///
/// Values are kept and comments are not, as by kind's own patches.
pub fn containerd_config(text: &str) -> Result<Option<String>, Unfit> {
    let mut config = read(text)?;
    if config_paths(&config).any(has_ours) {
        return Ok(None);
    }
    if let Some(other) = config_paths(&config).find(|path| !path.is_empty()) {
        return Err(Unfit(format!(
            "it looks into {other}, and not into {}",
            layout::NODE_CERTS
        )));
    }
    // Together with config_path these keep CRI from loading, while a restart of containerd still succeeds:
    // https://github.com/containerd/containerd/blob/main/docs/cri/registry.md
    for key in ["mirrors", "configs"] {
        if registry_tables(&config).any(|table| table.contains_key(key)) {
            return Err(Unfit(format!(
                "it sets registry.{key}, which goes with no config_path"
            )));
        }
    }
    let plugin = match config.get("version").and_then(Value::as_integer) {
        Some(2) => PLUGINS[0],
        Some(3) => PLUGINS[1],
        _ => return Err(Unfit("its version is neither 2 nor 3".to_owned())),
    };
    let mut table = &mut config;
    for key in ["plugins", plugin, "registry"] {
        let next = table.entry(key).or_insert_with(|| Table::new().into());
        let found = next.as_table_mut();
        table = found.ok_or_else(|| Unfit(format!("its {key} is no table")))?;
    }
    table.insert("config_path".to_owned(), layout::NODE_CERTS.into());
    let text = toml::to_string(&config).map_err(|error| Unfit(error.to_string()))?;
    if read(&text)? == config {
        Ok(Some(text))
    } else {
        Err(Unfit("it does not read back as it was written".to_owned()))
    }
}

fn read(text: &str) -> Result<Table, Unfit> {
    let read: Result<Table, toml::de::Error> = text.parse();
    read.map_err(|error| Unfit(format!("it is no TOML: {}", error.message())))
}

fn config_paths(config: &Table) -> impl Iterator<Item = &str> {
    registry_tables(config).filter_map(|registry| registry.get("config_path")?.as_str())
}

/// It is a list like PATH.
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
    fn what_is_set_stays_and_config_path_comes_to_it() {
        let node = "# kind's\nversion = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n\
                    discard_unpacked_layers = true\n";
        let text = containerd_config(node).unwrap().unwrap();
        assert!(
            text.contains("discard_unpacked_layers = true") && text.contains("version = 2"),
            "{text}"
        );
        assert!(text.contains(&format!("{GRPC}\n{OURS}")), "{text}");
        assert_eq!(containerd_config(&text), Ok(None), "once is enough");
        let text = containerd_config("version = 3\n").unwrap().unwrap();
        assert!(text.contains(&format!("{IMAGES}\n{OURS}")), "{text}");
        let empty = format!("version = 2\n{GRPC}\nconfig_path = \"\"\n");
        assert!(containerd_config(&empty).unwrap().is_some());
    }

    #[test]
    fn one_that_looks_there_among_others_is_left_alone() {
        for table in [GRPC, IMAGES] {
            let node =
                format!("version = 2\n{table}\nconfig_path = \"/etc/x:/etc/containerd/certs.d\"\n");
            assert_eq!(containerd_config(&node), Ok(None));
        }
    }

    #[test]
    fn what_would_break_cri_is_refused_by_name() {
        let mirrors = format!(
            "version = 2\n{GRPC}\n{}",
            GRPC.replace("registry", "registry.mirrors.x")
        );
        let other = format!("version = 2\n{GRPC}\nconfig_path = \"/etc/other\"\n");
        for (node, why) in [
            (mirrors.as_str(), "registry.mirrors"),
            (other.as_str(), "/etc/other"),
            ("", "version"),
            ("version = 2\nplugins = 1\n", "plugins is no table"),
            ("= nonsense", "no TOML"),
        ] {
            let said = containerd_config(node).unwrap_err().to_string();
            assert!(said.contains(why), "{node:?}: {said}");
        }
    }
}
