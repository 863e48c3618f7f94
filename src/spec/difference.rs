//! The differences between two Specs of one cluster as text, and those of them that `up` can't apply.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{OwnedCluster, RegistryName, Spec, Target};

impl Spec {
    /// Returns each difference from `wanted` as text: `registry demo: port 5001 → 5002`.
    #[must_use]
    pub fn differences(&self, wanted: &Self) -> Vec<String> {
        // The Specs are compared as JSON, so that a new key can't be forgotten here.
        let (mut old, mut new) = (fields(self), fields(wanted));
        let (old_ones, new_ones) = (registries(&mut old), registries(&mut new));
        let mut all = changes("", &old, &new);
        for (name, new) in &new_ones {
            match old_ones.iter().find(|(old, _)| old == name) {
                Some((_, old)) => all.extend(changes(&format!("registry {name}: "), old, new)),
                None => all.push(format!("registry {name} is new")),
            }
        }
        let removed = old_ones
            .iter()
            .filter(|(name, _)| new_ones.iter().all(|(new, _)| new != name));
        all.extend(removed.map(|(name, _)| format!("registry {name} is no longer configured")));
        all
    }

    /// Returns why `up` can't change the cluster to `wanted`, as the rest of a sentence about the cluster; `None` if it
    /// can. kind can't change existing nodes, and `up` never deletes a registry with its images. `present` names the
    /// registries that exist: an `up` that failed may not have created all of them.
    #[must_use]
    pub fn unchangeable(&self, wanted: &Self, present: &BTreeSet<RegistryName>) -> Option<String> {
        let (Target::Owned(old), Target::Owned(new)) = (&self.target, &wanted.target);
        let nodes = |owned: &OwnedCluster| (owned.control_planes.number(), owned.workers.number());
        let ((planes, workers), (new_planes, new_workers)) = (nodes(old), nodes(new));
        let kept = |name: &RegistryName| wanted.managed().any(|new| new.name == *name);
        if nodes(old) != nodes(new) {
            Some(format!(
                "has {planes} control plane(s) and {workers} worker(s), not {new_planes} and {new_workers}"
            ))
        } else if old.node_image != new.node_image {
            let (old, new) = (&old.node_image, &new.node_image);
            Some(format!("was created from {old}, not {new}"))
        } else if old.kind_config != new.kind_config {
            Some("was created with a different kind configuration".to_owned())
        } else {
            let removed = self
                .managed()
                .find(|old| present.contains(&old.name) && !kept(&old.name))?;
            Some(format!(
                "has a registry {} that is no longer configured",
                removed.name
            ))
        }
    }
}

/// The longest value that is shown, in bytes. A longer one is a CA or a whole kind configuration.
const LONGEST: usize = 80;

type Fields = Map<String, Value>;

fn fields(spec: &Spec) -> Fields {
    match serde_json::to_value(spec) {
        Ok(Value::Object(fields)) => fields,
        _ => Fields::new(),
    }
}

/// Returns the fields with those of nested objects at the top: users write `workers`, not `target.owned.workers`.
fn flat(fields: &Fields) -> Fields {
    let mut all = Fields::new();
    for (key, value) in fields {
        match value {
            Value::Object(nested) => all.extend(flat(nested)),
            other => drop(all.insert(key.clone(), other.clone())),
        }
    }
    all
}

/// Removes the registries from the fields, and returns each with its name.
fn registries(fields: &mut Fields) -> Vec<(String, Fields)> {
    let Some(Value::Array(all)) = fields.remove("registries") else {
        return Vec::new();
    };
    let named = all.into_iter().filter_map(|registry| match registry {
        Value::Object(fields) => Some((fields.get("name")?.as_str()?.to_owned(), fields)),
        _ => None,
    });
    named.collect()
}

fn changes(of: &str, old: &Fields, new: &Fields) -> Vec<String> {
    let (old, new) = (flat(old), flat(new));
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    let values = keys
        .into_iter()
        .map(|key| (key, old.get(key), new.get(key)));
    let differing = values.filter(|(_, old, new)| old != new);
    differing
        .map(|(key, old, new)| {
            let (old, new) = (text(old), text(new));
            if old.len().max(new.len()) > LONGEST {
                format!("{of}{key} changed")
            } else {
                format!("{of}{key} {old} → {new}")
            }
        })
        .collect()
}

fn text(value: Option<&Value>) -> String {
    match value {
        None => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
