//! What differs between two Specs of one cluster, in words; and what of it no `up` can change.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{OwnedCluster, RegistryName, Spec, Target};

impl Spec {
    /// Everything that `wanted` asks for otherwise, as `registry demo: port 5001 → 5002`.
    #[must_use]
    pub fn differences(&self, wanted: &Self) -> Vec<String> {
        // By their JSON, so that a new key can't be forgotten here.
        let (mut old, mut new) = (fields(self), fields(wanted));
        let (old_ones, new_ones) = (registries(&mut old), registries(&mut new));
        let mut all = compared("", &old, &new);
        for (name, new) in &new_ones {
            match old_ones.iter().find(|(old, _)| old == name) {
                Some((_, old)) => all.extend(compared(&format!("registry {name}: "), old, new)),
                None => all.push(format!("registry {name} is new")),
            }
        }
        let gone = old_ones
            .iter()
            .filter(|(name, _)| new_ones.iter().all(|(new, _)| new != name));
        all.extend(gone.map(|(name, _)| format!("registry {name} is no longer asked for")));
        all
    }

    /// What `up` can't change: kind can't remake its nodes, and a registry's images are not thrown away in passing.
    /// `there` are the registries that came to be, which not all that were asked for need have done.
    #[must_use]
    pub fn unchangeable(&self, wanted: &Self, there: &BTreeSet<RegistryName>) -> Option<String> {
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
            Some(format!("was made from {old}, not {new}"))
        } else if old.kind_config != new.kind_config {
            Some("was made with another kind configuration".to_owned())
        } else {
            let gone = self
                .managed()
                .find(|old| there.contains(&old.name) && !kept(&old.name))?;
            Some(format!(
                "has a registry {} that is no longer asked for",
                gone.name
            ))
        }
    }
}

/// What is longer says nothing to people.
const LONGEST: usize = 80;

type Fields = Map<String, Value>;

fn fields(spec: &Spec) -> Fields {
    match serde_json::to_value(spec) {
        Ok(Value::Object(fields)) => fields,
        _ => Fields::new(),
    }
}

/// Lifts the fields of nested objects to the top: people ask for `workers`, not for `target.owned.workers`.
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

/// Takes the registries out, each with its name.
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

fn compared(of: &str, old: &Fields, new: &Fields) -> Vec<String> {
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
            let (old, new) = (word(old), word(new));
            // A CA, or a whole kind configuration.
            if old.len().max(new.len()) > LONGEST {
                format!("{of}another {key}")
            } else {
                format!("{of}{key} {old} → {new}")
            }
        })
        .collect()
}

fn word(value: Option<&Value>) -> String {
    match value {
        None => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
