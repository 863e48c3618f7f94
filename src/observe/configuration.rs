//! Reads of containerd's configuration in a node, as far as it decides which certificates containerd accepts.
//! <https://github.com/containerd/containerd/blob/main/docs/cri/config.md>

use anyhow::Result;
use toml::{Table, Value};

use super::{Flaw, Tree};
use crate::archive::Kind;
use crate::docker::Docker;
use crate::layout::{self, registry_folders};
use crate::spec::{Registry, registry_tables};

/// The name of the configuration file in containerd's folder.
const CONFIG: &str = "config.toml";
/// The files that containerd 2.2 and later name in their default configuration. Not every version reads them beside a
/// configuration without imports, and nothing in the node shows which one does.
const DEFAULT_IMPORTS: &str = "/etc/containerd/conf.d/*.toml";

/// Returns the settings of a node's containerd that make it read other folders than certs.d for these registries, or
/// skip verification.
///
/// # Errors
/// The engine does not answer.
pub async fn setting_flaws(
    docker: &dyn Docker,
    node: &str,
    tree: &Tree,
    registries: &[Registry],
) -> Result<Vec<Flaw>> {
    let Settings { earlier, mut flaws } = settings(tree);
    for root in earlier {
        for (domain, ours) in registries.iter().flat_map(Registry::answers) {
            for folder in registry_folders(&domain) {
                let path = format!("{root}/{folder}");
                let found = Flaw::ReadBefore {
                    path: path.clone(),
                    ours: ours.clone(),
                };
                if docker.stat(node, &path).await?.is_some() && !flaws.contains(&found) {
                    flaws.push(found);
                }
            }
        }
    }
    Ok(flaws)
}

/// What a configuration says about registries.
#[derive(Debug, Default)]
struct Settings {
    /// The folders that containerd reads before certs.d.
    earlier: Vec<String>,
    /// What must not be there.
    flaws: Vec<Flaw>,
}

/// Reads the configuration and what it imports.
fn settings(tree: &Tree) -> Settings {
    let mut found = Settings::default();
    let is_other = |(path, kind): (&str, Kind)| path == CONFIG && kind != Kind::File;
    if tree.entries().any(is_other) {
        let path = format!("{}/{CONFIG}", layout::NODE_CONTAINERD);
        found.flaws.push(Flaw::NotAFile(path));
    }
    let mut read: Vec<&str> = Vec::new();
    let mut waiting = vec![CONFIG];
    let (imported, _) = imports(tree, DEFAULT_IMPORTS);
    waiting.extend(imported);
    while let Some(name) = waiting.pop() {
        if read.contains(&name) {
            continue;
        }
        read.push(name);
        let text = tree.file(name).map(|text| String::from_utf8_lossy(text));
        // containerd does not start with a file that it can't read, so nothing is pulled by it.
        let Some(Ok(config)) = text.map(|text| text.parse::<Table>()) else {
            continue;
        };
        found.judge(&config);
        let patterns = config.get("imports").and_then(Value::as_array);
        let patterns = patterns.into_iter().flatten().filter_map(Value::as_str);
        for pattern in patterns {
            let (imported, is_known) = imports(tree, pattern);
            waiting.extend(imported);
            if is_known == Imports::Elsewhere {
                found.add(format!("imports {pattern}, which kindreg does not read"));
            }
        }
    }
    found
}

impl Settings {
    fn add(&mut self, setting: String) {
        let flaw = Flaw::Setting(setting);
        if !self.flaws.contains(&flaw) {
            self.flaws.push(flaw);
        }
    }

    /// Judges one file.
    fn judge(&mut self, config: &Table) {
        for registry in registry_tables(config) {
            let path = registry.get("config_path").and_then(Value::as_str);
            let path = path.unwrap_or_default();
            let mut folders = path.split(':').filter(|folder| !folder.is_empty());
            let earlier: Vec<&str> = folders
                .by_ref()
                .take_while(|folder| !is_certs(folder))
                .collect();
            if path.split(':').any(is_certs) {
                self.earlier.extend(earlier.into_iter().map(str::to_owned));
            } else if !path.is_empty() {
                self.add(format!(
                    "config_path is {path}, without {}",
                    layout::NODE_CERTS
                ));
            }
            let hosts = registry.get("configs").and_then(Value::as_table);
            for (host, config) in hosts.into_iter().flatten() {
                let skips = config
                    .get("tls")
                    .and_then(|tls| tls.get("insecure_skip_verify")?.as_bool());
                if skips == Some(true) {
                    self.add(format!(
                        "registry.configs.{host:?}.tls.insecure_skip_verify is set"
                    ));
                }
            }
        }
    }
}

fn is_certs(folder: &str) -> bool {
    folder.trim_end_matches('/') == layout::NODE_CERTS
}

/// Whether everything that a pattern imports was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Imports {
    /// It was.
    Known,
    /// Some of it may be elsewhere in the node.
    Elsewhere,
}

/// Returns the files of containerd's folder that a pattern imports.
fn imports<'a>(tree: &'a Tree, pattern: &str) -> (Vec<&'a str>, Imports) {
    let folder = format!("{}/", layout::NODE_CONTAINERD);
    // A relative pattern is relative to the folder of the file, which is that folder or lies in it.
    let inside = pattern.strip_prefix(&folder);
    let inside = inside.or_else(|| (!pattern.starts_with('/')).then_some(pattern));
    let is_simple = |pattern: &&str| {
        !pattern.contains(['?', '[', '\\']) && !pattern.split('/').any(|part| part == "..")
    };
    let Some(inside) = inside.filter(is_simple) else {
        return (Vec::new(), Imports::Elsewhere);
    };
    let found = tree.entries().filter(|(path, _)| matches(inside, path));
    let (files, others): (Vec<_>, Vec<_>) = found
        .filter(|(_, kind)| *kind != Kind::Folder)
        .partition(|(_, kind)| *kind == Kind::File);
    let files = files.into_iter().map(|(path, _)| path).collect();
    let is_known = if others.is_empty() {
        Imports::Known
    } else {
        Imports::Elsewhere
    };
    (files, is_known)
}

/// Returns whether a path matches a pattern, in which `*` stands for anything but a slash.
fn matches(pattern: &str, path: &str) -> bool {
    let (patterns, parts) = (pattern.split('/'), path.split('/'));
    patterns.clone().count() == parts.clone().count()
        && patterns
            .zip(parts)
            .all(|(pattern, part)| covers(pattern, part))
}

fn covers(pattern: &str, part: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == part;
    };
    let Some(after) = part.strip_prefix(head) else {
        return false;
    };
    let ends = after.char_indices().map(|(at, _)| at).chain([after.len()]);
    ends.into_iter().any(|at| covers(rest, &after[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_stands_for_anything_but_a_slash() {
        for (pattern, path, is_covered) in [
            ("conf.d/*.toml", "conf.d/a.toml", true),
            ("conf.d/*.toml", "conf.d/.toml", true),
            ("conf.d/*.toml", "conf.d/a.toml.old", false),
            ("conf.d/*.toml", "conf.d/a/b.toml", false),
            ("*/*.toml", "conf.d/a.toml", true),
            ("config.toml", "config.toml", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
        ] {
            assert_eq!(matches(pattern, path), is_covered, "{pattern} {path}");
        }
    }
}
