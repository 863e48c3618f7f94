//! Reads of everything that may make a node accept a registry's certificate unverified, or refuse a good one.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use bytes::Bytes;

use super::{Tree, containerd_tree, expected_files_of, setting_flaws, unread_changes};
use crate::archive::Kind;
use crate::docker::Docker;
use crate::layout::{self, registry_folders};
use crate::render::WRITTEN_BY_KINDREG;
use crate::shell;
use crate::spec::{Registry, RegistryName, Spec};

/// Something in a node that differs from what kindreg wrote, and that containerd may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// A file of ours is missing or has other content. The path is relative to certs.d.
    Differs(String),
    /// Something in a folder of ours that kindreg did not write. The path is relative to certs.d.
    NotOurs(String),
    /// A folder that containerd reads instead of ours.
    ReadBefore {
        /// Its path, relative to certs.d or absolute.
        path: String,
        /// Our folder.
        ours: String,
    },
    /// A setting of containerd, in words.
    Setting(String),
    /// A file of containerd's configuration that changed after containerd had started. The path is absolute.
    NotRead(String),
    /// A link or a folder where containerd's configuration should be. The path is absolute.
    NotAFile(String),
    /// It is not known whether containerd has read its configuration, in words.
    UnknownStart(String),
    /// The registry has no certificate to compare with.
    NoCertificate(RegistryName),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs(path) => f.write_str(path),
            Self::NotOurs(path) => write!(f, "{path} was not written by kindreg"),
            Self::ReadBefore { path, ours } => write!(f, "{path} is read before {ours}"),
            Self::Setting(why) => f.write_str(why),
            Self::NotRead(path) => {
                write!(f, "{path} was changed after containerd had started")
            }
            Self::NotAFile(path) => write!(f, "{path} is not a regular file"),
            Self::UnknownStart(why) => {
                write!(
                    f,
                    "can't tell which configuration containerd runs with: {why}"
                )
            }
            Self::NoCertificate(registry) => write!(f, "registry {registry} has no certificate"),
        }
    }
}

impl Flaw {
    /// Returns what the user has to do; `None` if `kindreg up` repairs it.
    #[must_use]
    pub fn by_hand(&self, node: &str) -> Option<String> {
        match self {
            Self::Differs(_) | Self::NoCertificate(_) => None,
            Self::NotOurs(path) | Self::ReadBefore { path, .. } => {
                let path = if path.starts_with('/') {
                    path.clone()
                } else {
                    format!("{}/{path}", layout::NODE_CERTS)
                };
                let path = shell::word(&path);
                Some(format!(
                    "if nobody needs it, run: docker exec {node} rm -r {path}"
                ))
            }
            Self::Setting(_) => Some(format!(
                "remove the setting from {}/config.toml on the node, and run: docker exec {node} systemctl restart \
                 containerd",
                layout::NODE_CONTAINERD
            )),
            Self::NotRead(_) => Some(format!(
                "run: docker exec {node} systemctl restart containerd"
            )),
            Self::NotAFile(path) => Some(format!(
                "replace {path} on the node with a file, and run: docker exec {node} systemctl restart containerd"
            )),
            Self::UnknownStart(_) => Some(format!(
                "run: docker exec {node} systemctl status containerd"
            )),
        }
    }
}

/// Returns everything in a node that keeps a proof of this registry from being one.
///
/// # Errors
/// The engine does not answer, or the node's files can't be read.
pub async fn flaws(
    docker: &dyn Docker,
    spec: &Spec,
    registry: &Registry,
    node: &str,
) -> Result<Vec<Flaw>> {
    let (tree, wanted, unread) = tokio::try_join!(
        containerd_tree(docker, node),
        expected_files_of(docker, spec, registry),
        unread_changes(docker, node),
    )?;
    let Some(wanted) = wanted else {
        return Ok(vec![Flaw::NoCertificate(registry.name.clone())]);
    };
    let registries = std::slice::from_ref(registry);
    let mut all = trust_flaws(&tree, registries, &wanted);
    all.extend(setting_flaws(docker, node, &tree, registries).await?);
    all.extend(unread);
    Ok(all)
}

/// Returns what differs in a node's certs.d from these files of these registries. Pure.
#[must_use]
pub fn trust_flaws(
    tree: &Tree,
    registries: &[Registry],
    wanted: &BTreeMap<String, Bytes>,
) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    for folder in registries.iter().flat_map(Registry::node_folders) {
        if tree
            .certs_kind(&folder)
            .is_some_and(|kind| kind != Kind::Folder)
        {
            flaws.push(Flaw::NotOurs(folder));
            continue;
        }
        let strange = tree.certs_below(&folder);
        let strange = strange.filter(|path| !wanted.contains_key(*path));
        flaws.extend(strange.map(|path| Flaw::NotOurs(path.to_owned())));
    }
    for (domain, ours) in registries.iter().flat_map(Registry::answers) {
        let before = registry_folders(&domain).into_iter();
        let before = before.take_while(|folder| *folder != ours);
        for path in before.filter(|folder| tree.certs_kind(folder).is_some()) {
            let ours = ours.clone();
            flaws.push(Flaw::ReadBefore { path, ours });
        }
    }
    let others = by_somebody_else(tree, registries, wanted);
    for (path, content) in wanted {
        if tree.certs_file(path) == Some(content) {
            continue;
        }
        flaws.push(if others.contains(path) {
            Flaw::NotOurs(path.clone())
        } else {
            Flaw::Differs(path.clone())
        });
    }
    flaws
}

/// Returns the hosts.toml of what registries mirror that somebody else wrote: the users of a cluster configure mirrors of
/// public registries too. One with our CA beside it was ours once.
fn by_somebody_else(
    tree: &Tree,
    registries: &[Registry],
    wanted: &BTreeMap<String, Bytes>,
) -> Vec<String> {
    let mirrored = registries.iter().filter_map(Registry::mirrored);
    let is_theirs = |folder: &String| {
        let (hosts, ca) = (format!("{folder}/hosts.toml"), format!("{folder}/ca.crt"));
        let written = tree.certs_file(&hosts)?;
        let ours = written.starts_with(WRITTEN_BY_KINDREG.as_bytes())
            || (wanted.contains_key(&ca) && tree.certs_file(&ca) == wanted.get(&ca));
        (!ours).then_some(hosts)
    };
    let folders = mirrored.map(crate::spec::Mirrored::folder);
    folders.filter_map(|folder| is_theirs(&folder)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_removes_exactly_that_path() {
        let strange = Flaw::NotOurs("registry.test:5001/a b'; reboot".to_owned());
        assert_eq!(
            strange.by_hand("c-worker").unwrap(),
            r"if nobody needs it, run: docker exec c-worker rm -r '/etc/containerd/certs.d/registry.test:5001/a b'\''; reboot'"
        );
        assert_eq!(Flaw::Differs(String::new()).by_hand("c-worker"), None);
        let unknown = Flaw::UnknownStart("no systemd".to_owned());
        assert_eq!(
            unknown.by_hand("c-worker").unwrap(),
            "run: docker exec c-worker systemctl status containerd"
        );
    }
}
