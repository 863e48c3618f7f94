//! Finds the file system of a path in the fake: the root of a container, a volume, or the host.

use std::collections::BTreeMap;
use std::io;

use super::{Engine, View};
use crate::docker::fake::files::{Node, Tree, clean, moved, within};
use crate::docker::{Mount, MountSource};

/// The file system that stores a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Store {
    Host,
    Volume(String),
    Root(String),
}

impl Engine {
    pub(in crate::docker::fake) fn node(&self, view: &View, path: &str) -> Option<&Node> {
        let (store, inner) = self.place(view, &clean(path));
        self.tree(&store)?.get(&inner)
    }

    /// Returns a clean path and everything below it.
    pub(in crate::docker::fake) fn nodes(&self, view: &View, path: &str) -> BTreeMap<String, Node> {
        let mut nodes = BTreeMap::new();
        let layers = self.layers(view);
        for (target, store, base) in &layers {
            let from = if within(path, target) {
                moved(path, target, base)
            } else if within(target, path) {
                base.clone()
            } else {
                continue;
            };
            for (inner, node) in self
                .tree(store)
                .into_iter()
                .flat_map(|tree| tree.under(&from))
            {
                let at = moved(inner, base, target);
                // A mount hides the files below it.
                let hides = |(other, ..): &(String, Store, String)| {
                    other.len() > target.len() && within(&at, other)
                };
                if !layers.iter().any(hides) {
                    nodes.insert(at, node.clone());
                }
            }
        }
        nodes
    }

    pub(in crate::docker::fake) fn put(
        &mut self,
        view: &View,
        path: &str,
        node: Node,
    ) -> io::Result<()> {
        let (store, inner) = self.place(view, &clean(path));
        let tree = self.tree_mut(&store).ok_or(io::ErrorKind::NotFound)?;
        tree.put(&inner, node)
    }

    pub(in crate::docker::fake) fn remove_path(&mut self, view: &View, path: &str) -> bool {
        let (store, inner) = self.place(view, &clean(path));
        self.tree_mut(&store)
            .is_some_and(|tree| tree.remove(&inner))
    }

    /// Returns the root and the mounts: target, store, and the path in the store.
    fn layers(&self, view: &View) -> Vec<(String, Store, String)> {
        let View::Container(name) = view else {
            return vec![("/".into(), Store::Host, "/".into())];
        };
        let mounts = self
            .containers
            .get(name)
            .into_iter()
            .flat_map(|container| &container.spec.mounts);
        let mounted = mounts.map(|Mount { source, target }| match source {
            MountSource::Volume(volume) => {
                (clean(target), Store::Volume(volume.clone()), "/".into())
            }
            MountSource::Host(path) => (clean(target), Store::Host, clean(path)),
        });
        [("/".into(), Store::Root(name.clone()), "/".into())]
            .into_iter()
            .chain(mounted)
            .collect()
    }

    /// Returns the store of a path, and its path there: the longest mount that contains it.
    fn place(&self, view: &View, path: &str) -> (Store, String) {
        let layers = self
            .layers(view)
            .into_iter()
            .filter(|(target, ..)| within(path, target));
        let layer = layers.max_by_key(|(target, ..)| target.len());
        layer.map_or((Store::Host, path.to_owned()), |(target, store, base)| {
            (store, moved(path, &target, &base))
        })
    }

    fn tree(&self, store: &Store) -> Option<&Tree> {
        match store {
            Store::Host => Some(&self.host),
            Store::Volume(name) => self.volumes.get(name).map(|volume| &volume.tree),
            Store::Root(name) => self.containers.get(name).map(|container| &container.root),
        }
    }

    fn tree_mut(&mut self, store: &Store) -> Option<&mut Tree> {
        match store {
            Store::Host => Some(&mut self.host),
            Store::Volume(name) => self.volumes.get_mut(name).map(|volume| &mut volume.tree),
            Store::Root(name) => self
                .containers
                .get_mut(name)
                .map(|container| &mut container.root),
        }
    }
}
