//! Everything of a machine that `down` has to leave as it was before `up`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::world::{attempt, docker_lines};

/// A snapshot: lines of text under headings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine(BTreeMap<&'static str, BTreeSet<String>>);

impl Machine {
    /// The engine's things, its host's `/etc/docker` and `/etc/hosts`, and a user's home with its kubeconfig.
    #[track_caller]
    pub(crate) fn snapshot(home: &Path) -> Self {
        let mut etc = BTreeSet::new();
        for path in ["/etc/hosts", "/etc/docker"] {
            tree(Path::new(path), &mut etc);
        }
        let mut files = BTreeSet::new();
        names(home, home, &mut files);
        Self(BTreeMap::from([
            (
                "containers",
                inspected(
                    "container",
                    &["ls", "-aq", "--no-trunc"],
                    "{{.Name}} {{.Id}} {{.Config.Image}} {{.State.Status}} {{json .Config.Labels}}",
                ),
            ),
            (
                "networks",
                inspected(
                    "network",
                    &["ls", "-q", "--no-trunc"],
                    // The engine makes its own bridge anew at each start, and lets nobody remove it.
                    r#"{{.Name}} {{if ne .Name "bridge"}}{{.Id}}{{end}} {{json .Labels}}"#,
                ),
            ),
            (
                "volumes",
                inspected("volume", &["ls", "-q"], "{{.Name}} {{json .Labels}}"),
            ),
            ("images", images()),
            ("the engine host's /etc", etc),
            ("kubeconfig at home", kubeconfig(&home.join(".kube/config"))),
            ("files at home", files),
        ]))
    }

    /// Fails with what is different now.
    #[track_caller]
    pub(crate) fn is_as(&self, before: &Self) {
        let diff = self.difference(before);
        assert!(
            diff.is_empty(),
            "the machine is not as it was (- before, + now):\n{diff}"
        );
    }

    /// What came (`+`) and went (`-`); nothing where nothing did.
    fn difference(&self, before: &Self) -> String {
        let mut text = String::new();
        for (heading, now) in &self.0 {
            let old = &before.0[heading];
            let gone = old.difference(now).map(|line| format!("  - {line}"));
            let new = now.difference(old).map(|line| format!("  + {line}"));
            let ours = heading.contains("home");
            let lines: Vec<String> = gone
                .chain(new)
                .filter(|line| ours || concerns_us(line))
                .collect();
            if !lines.is_empty() {
                writeln!(text, "{heading}\n{}", lines.join("\n")).unwrap();
            }
        }
        text
    }
}

/// On an engine that others use at the same time (`KINDREG_E2E_SHARED`, for developing these tests), only what surely
/// is a test's own counts.
pub(crate) fn concerns_us(line: &str) -> bool {
    std::env::var_os("KINDREG_E2E_SHARED").is_none()
        || line.contains("e2e-")
        || line.contains(":59")
}

/// All things of a kind, as a template shows them. JSON, as docker's own lists show labels in no order.
#[track_caller]
fn inspected(kind: &str, list: &[&str], template: &str) -> BTreeSet<String> {
    // A thing may go between the two calls where others use the engine too.
    for _ in 0..5 {
        let ids = docker_lines(&[&[kind], list].concat());
        if ids.is_empty() {
            return BTreeSet::new();
        }
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let shown = attempt(
            "docker",
            &[&[kind, "inspect", "--format", template], &*ids].concat(),
        );
        if shown.ok {
            return shown.stdout.lines().map(str::to_owned).collect();
        }
    }
    panic!("the engine's {kind}s don't hold still");
}

fn images() -> BTreeSet<String> {
    let template = "{{.Repository}}:{{.Tag}} {{.ID}}";
    docker_lines(&["image", "ls", "-a", "--no-trunc", "--format", template])
        .into_iter()
        .collect()
}

/// A file or folder with all below it: mode, owner, and what is in it.
fn tree(path: &Path, lines: &mut BTreeSet<String>) {
    let Ok(meta) = path.symlink_metadata() else {
        lines.insert(format!("{} absent", path.display()));
        return;
    };
    let what = if meta.is_dir() {
        "folder".to_owned()
    } else if meta.is_symlink() {
        format!("link to {}", fs::read_link(path).unwrap().display())
    } else {
        hex::encode(Sha256::digest(fs::read(path).unwrap()))
    };
    let (mode, uid, gid) = (meta.permissions().mode(), meta.uid(), meta.gid());
    lines.insert(format!("{} {mode:o} {uid}:{gid} {what}", path.display()));
    if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            tree(&entry.unwrap().path(), lines);
        }
    }
}

/// The files below a folder, by name.
fn names(folder: &Path, home: &Path, lines: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            names(&entry.path(), home, lines);
        } else {
            let path = entry.path();
            lines.insert(path.strip_prefix(home).unwrap().display().to_string());
        }
    }
}

/// Entries and current context. Not its bytes: kind formats the file anew.
fn kubeconfig(file: &Path) -> BTreeSet<String> {
    let Ok(text) = fs::read_to_string(file) else {
        return BTreeSet::from(["absent".to_owned()]);
    };
    let content: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    let current = content
        .get("current-context")
        .and_then(serde_yaml::Value::as_str);
    let mut lines = BTreeSet::from([format!("current-context {}", current.unwrap_or("none"))]);
    for kind in ["clusters", "contexts", "users"] {
        let entries = content.get(kind).and_then(serde_yaml::Value::as_sequence);
        for entry in entries.into_iter().flatten() {
            lines.insert(format!("{kind} {}", entry["name"].as_str().unwrap()));
        }
    }
    lines
}
