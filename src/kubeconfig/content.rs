//! What is read of one file of a kubeconfig, and the texts that are written back.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

#[derive(Default, Deserialize)]
pub(super) struct Content {
    #[serde(rename = "current-context", default)]
    current: Option<String>,
    #[serde(default)]
    contexts: Option<Vec<Named>>,
    #[serde(default)]
    clusters: Option<Vec<Named>>,
    #[serde(default)]
    users: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl Content {
    pub(super) fn current(&self) -> Option<&str> {
        self.current
            .as_deref()
            .filter(|context| !context.is_empty())
    }

    pub(super) fn is_empty(&self) -> bool {
        [&self.contexts, &self.clusters, &self.users]
            .iter()
            .all(|list| list.as_ref().is_none_or(Vec::is_empty))
    }

    pub(super) fn names(&self, context: &str) -> bool {
        self.contexts
            .iter()
            .flatten()
            .any(|entry| entry.name == context)
    }
}

/// Returns the content of a file; `None` if it does not exist.
///
/// # Errors
/// It can't be read, or is not a kubeconfig.
pub(super) fn read(file: &Path) -> Result<Option<Content>> {
    match fs::read_to_string(file) {
        Ok(text) if text.trim().is_empty() => Ok(Some(Content::default())),
        Ok(text) => serde_yaml::from_str(&text)
            .map(Some)
            .with_context(|| format!("can't read the kubeconfig {}", file.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(error).with_context(|| format!("can't read the kubeconfig {}", file.display()))
        }
    }
}

/// Returns the text with its top-level `current-context` set, and all other lines unchanged.
pub(super) fn with_current(text: &str, context: &str) -> String {
    // Any name is safe as a quoted string; a plain one stays unquoted, as kubectl writes it.
    let plain = context
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_./@:".contains(c))
        && context.starts_with(|c: char| c.is_ascii_alphabetic());
    let line = if plain {
        format!("current-context: {context}")
    } else {
        format!("current-context: {context:?}")
    };
    let mut found = false;
    let mut lines: Vec<&str> = text
        .lines()
        .map(|old| {
            if old.starts_with("current-context:") {
                found = true;
                &line
            } else {
                old
            }
        })
        .collect();
    if !found {
        lines.push(&line);
    }
    lines.join("\n") + "\n"
}

/// Returns the text without the entries of one cluster, as kind removes them; `None` if it has none.
///
/// # Errors
/// The text is not a kubeconfig.
pub(super) fn without(text: &str, ours: &str) -> Result<Option<String>> {
    let mut config: Mapping = serde_yaml::from_str(text)?;
    let mut is_changed = false;
    for list in ["clusters", "users", "contexts"] {
        if let Some(Value::Sequence(all)) = config.get_mut(list) {
            let before = all.len();
            all.retain(|entry| entry.get("name").and_then(Value::as_str) != Some(ours));
            is_changed |= all.len() != before;
        }
    }
    if let Some(current) = config.get_mut("current-context")
        && current.as_str() == Some(ours)
    {
        *current = Value::String(String::new());
        is_changed = true;
    }
    Ok(if is_changed {
        Some(serde_yaml::to_string(&config)?)
    } else {
        None
    })
}
