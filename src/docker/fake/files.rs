//! The files of the fake: trees of files, and tar archives of them. Links are kept and archived, but not followed.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Bound;

use bytes::Bytes;

/// A folder, file or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder {
        /// Permission bits.
        mode: u32,
    },
    /// A regular file.
    File {
        /// Permission bits.
        mode: u32,
        /// Its content.
        content: Bytes,
    },
    /// A symbolic link.
    Link {
        /// Its target.
        target: String,
    },
}

/// A file system. Its paths are absolute and clean, and all parents of a path are folders.
#[derive(Debug, Clone)]
pub(super) struct Tree(BTreeMap<String, Node>);

impl Tree {
    /// Returns a tree with these folders.
    pub(super) fn new(folders: &[&str]) -> Self {
        let mut tree = Self(BTreeMap::from([("/".to_owned(), FOLDER)]));
        for folder in folders {
            tree.0.insert((*folder).to_owned(), FOLDER);
        }
        tree
    }

    pub(super) fn get(&self, path: &str) -> Option<&Node> {
        self.0.get(path)
    }

    /// Puts a node at a path, with all missing parents. It replaces what is there, as tar does.
    pub(super) fn put(&mut self, path: &str, node: Node) -> io::Result<()> {
        for (end, _) in path.match_indices('/').skip(1) {
            let parent = path.get(..end).unwrap_or_default();
            match self.0.get(parent) {
                None => drop(self.0.insert(parent.to_owned(), FOLDER)),
                Some(Node::Folder { .. }) => {}
                Some(_) => return Err(io::Error::new(io::ErrorKind::NotADirectory, parent)),
            }
        }
        let is_folder = matches!(node, Node::Folder { .. });
        if !is_folder && matches!(self.0.get(path), Some(Node::Folder { .. })) {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, path));
        }
        self.0.insert(path.to_owned(), node);
        Ok(())
    }

    /// Removes a path and everything below it, and returns whether there was something.
    pub(super) fn remove(&mut self, path: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|at, _| !within(at, path));
        self.0.len() < before
    }

    /// Returns a path and everything below it.
    pub(super) fn under<'a>(
        &'a self,
        path: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a Node)> {
        let from = self
            .0
            .range::<str, _>((Bound::Included(path), Bound::Unbounded));
        // Others sort between a folder and its content (`/a`, `/a-b`, `/a/c`), but all begin as the folder does.
        from.take_while(move |(at, _)| at.starts_with(path))
            .filter(move |(at, _)| within(at, path))
    }
}

const FOLDER: Node = Node::Folder { mode: 0o755 };

/// Returns a clean path: `/a/b/c` for `/a//b/./c/`.
pub(super) fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Returns whether a clean path is `folder` or below it.
pub(super) fn within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder == "/")
}

/// Returns a clean path with its folder `from` replaced by `to`. All are clean, and the path must be within `from`.
pub(super) fn moved(path: &str, from: &str, to: &str) -> String {
    let rest = path.strip_prefix(from).unwrap_or_default();
    match (to, rest.trim_start_matches('/')) {
        (to, "") => to.to_owned(),
        ("/", rest) => format!("/{rest}"),
        (to, rest) => format!("{to}/{rest}"),
    }
}

/// Packs `path` and everything below it. Names begin with the last component of `path`, as in Docker's archive API.
pub(super) fn pack(entries: &BTreeMap<String, Node>, path: &str) -> io::Result<Bytes> {
    let parent = path.rfind('/').map_or(0, |slash| slash + 1);
    let mut archive = tar::Builder::new(Vec::new());
    for (at, node) in entries {
        let name = at
            .get(parent..)
            .filter(|name| !name.is_empty())
            .unwrap_or("./");
        let mut header = tar::Header::new_gnu();
        match node {
            Node::Folder { mode } => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(*mode);
                header.set_size(0);
                archive.append_data(&mut header, name, io::empty())?;
            }
            Node::File { mode, content } => {
                header.set_mode(*mode);
                header.set_size(content.len() as u64);
                archive.append_data(&mut header, name, content.as_ref())?;
            }
            Node::Link { target } => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                archive.append_link(&mut header, name, target)?;
            }
        }
    }
    archive.into_inner().map(Bytes::from)
}

/// Returns the entries of an archive with clean absolute paths, in its order.
pub(super) fn unpack(archive: &[u8]) -> io::Result<Vec<(String, Node)>> {
    let mut nodes = Vec::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = clean(&entry.path()?.to_string_lossy());
        let mode = entry.header().mode()? & 0o7777;
        let node = match entry.header().entry_type() {
            tar::EntryType::Directory => Node::Folder { mode },
            tar::EntryType::Symlink => Node::Link {
                target: entry
                    .link_name()?
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
            },
            _ => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content)?;
                Node::File {
                    mode,
                    content: content.into(),
                }
            }
        };
        nodes.push((path, node));
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_moved() {
        assert_eq!(clean("a//b/./c/../d/"), "/a/b/d");
        assert_eq!(clean("/"), "/");
        assert!(
            within("/a/b", "/a") && within("/a", "/a") && within("/a", "/") && !within("/ab", "/a")
        );
        assert_eq!(moved("/etc/x", "/", "/mnt"), "/mnt/etc/x");
        assert_eq!(moved("/mnt", "/mnt", "/"), "/");
    }

    #[test]
    fn a_packed_folder_is_unpacked_with_its_modes() {
        let mut tree = Tree::new(&[]);
        tree.put(
            "/certs/a/key",
            Node::File {
                mode: 0o600,
                content: Bytes::from_static(b"k"),
            },
        )
        .unwrap();
        tree.put(
            "/certs/link",
            Node::Link {
                target: "a/key".into(),
            },
        )
        .unwrap();
        let entries: BTreeMap<_, _> = tree
            .under("/certs")
            .map(|(at, node)| (at.clone(), node.clone()))
            .collect();
        let nodes: BTreeMap<_, _> = unpack(&pack(&entries, "/certs").unwrap())
            .unwrap()
            .into_iter()
            .collect();
        assert_eq!(nodes, entries);
    }

    #[test]
    fn a_file_is_no_folder() {
        let mut tree = Tree::new(&[]);
        let file = Node::File {
            mode: 0o644,
            content: Bytes::new(),
        };
        tree.put("/a", file.clone()).unwrap();
        assert_eq!(
            tree.put("/a/b", file.clone()).unwrap_err().kind(),
            io::ErrorKind::NotADirectory
        );
        assert!(tree.remove("/a") && !tree.remove("/a"));
    }
}
