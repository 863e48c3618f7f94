//! [`FakeFiles`]: the files of the engine's host, or of a container through its mounts, for tests and emulated
//! commands.
//!
//! Nothing here counts as a call to the engine.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::engine::{Engine, View};
use super::files::{Node, clean};
use super::lock;

/// Who makes a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doer {
    /// A test: its changes are not in the journal.
    Test,
    /// A command in a container: its changes are in the journal.
    Command,
}

/// Who listens on a port of the engine's host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// A container that publishes the port.
    Container,
    /// A process outside Docker.
    Stranger,
    /// Nobody.
    Nobody,
}

/// A file system of the fake. It is cheap to clone, and always shows the current state.
#[derive(Debug, Clone)]
pub struct FakeFiles {
    engine: Arc<Mutex<Engine>>,
    view: View,
    doer: Doer,
}

impl FakeFiles {
    pub(super) fn new(engine: Arc<Mutex<Engine>>, view: View, doer: Doer) -> Self {
        Self { engine, view, doer }
    }

    /// Returns who listens on a port of the engine's host.
    #[must_use]
    pub fn listener(&self, port: u16) -> Listener {
        let engine = lock(&self.engine);
        if engine.busy_ports.contains(&port) {
            return Listener::Stranger;
        }
        if engine.publisher(port).is_some() {
            Listener::Container
        } else {
            Listener::Nobody
        }
    }

    /// Returns a file's content, or `None` if there is no file.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        match lock(&self.engine).node(&self.view, path)? {
            Node::File { content, .. } => Some(content.to_vec()),
            _ => None,
        }
    }

    /// Returns the permission bits of a file or folder, or `None` if there is neither.
    #[must_use]
    pub fn mode(&self, path: &str) -> Option<u32> {
        match lock(&self.engine).node(&self.view, path)? {
            Node::File { mode, .. } | Node::Folder { mode } => Some(*mode),
            Node::Link { .. } => None,
        }
    }

    /// Writes a file, and creates missing folders.
    pub fn write(&self, path: &str, mode: u32, content: impl Into<Vec<u8>>) -> io::Result<()> {
        self.put(
            path,
            Node::File {
                mode,
                content: Bytes::from(content.into()),
            },
        )
    }

    /// Creates a symbolic link, and missing folders above it. The fake does not follow it.
    pub fn link(&self, path: &str, target: &str) -> io::Result<()> {
        let target = target.to_owned();
        self.put(path, Node::Link { target })
    }

    /// Creates a folder and its missing parents. An existing one gets the mode.
    pub fn make_dir(&self, path: &str, mode: u32) -> io::Result<()> {
        self.put(path, Node::Folder { mode })
    }

    /// Removes a path and everything below it, and returns whether there was something.
    #[must_use = "there may have been nothing to remove"]
    pub fn remove(&self, path: &str) -> bool {
        let removed = lock(&self.engine).remove_path(&self.view, path);
        if removed {
            self.changed("remove", path);
        }
        removed
    }

    /// Returns the names in a folder, sorted.
    #[must_use]
    pub fn list(&self, folder: &str) -> Vec<String> {
        let folder = clean(folder);
        let prefix = if folder == "/" {
            folder.clone()
        } else {
            format!("{folder}/")
        };
        let names = self
            .all(&folder)
            .into_keys()
            .filter_map(|at| Some(at.strip_prefix(&prefix)?.to_owned()));
        names
            .filter(|name| !name.is_empty() && !name.contains('/'))
            .collect()
    }

    /// Returns a path and everything below it, for comparisons of before and after.
    #[must_use]
    pub fn all(&self, path: &str) -> BTreeMap<String, Node> {
        lock(&self.engine).nodes(&self.view, &clean(path))
    }

    /// Adds an effect other than a change of files to the journal (`restart kubelet`).
    pub fn effect(&self, what: &str) {
        let place = self.place();
        lock(&self.engine).record(format!("{what} in {place}"));
    }

    fn put(&self, path: &str, node: Node) -> io::Result<()> {
        let mut engine = lock(&self.engine);
        if engine.node(&self.view, path) == Some(&node) {
            return Ok(());
        }
        engine.put(&self.view, path, node)?;
        drop(engine);
        self.changed("write", path);
        Ok(())
    }

    fn changed(&self, verb: &str, path: &str) {
        if self.doer == Doer::Command {
            let place = self.place();
            lock(&self.engine).record(format!("{verb} {place}:{}", clean(path)));
        }
    }

    fn place(&self) -> &str {
        match &self.view {
            View::Host => "host",
            View::Container(name) => name,
        }
    }
}
