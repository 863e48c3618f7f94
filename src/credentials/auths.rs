//! The `auths` of a docker config, which kubelet, docker, crane, skopeo, oras and helm all read. Pure.
//!
//! kubelet matches the key by host *and* port, uses `auth` but no helper, and ignores unknown keys:
//! <https://kubernetes.io/docs/concepts/containers/images/#config-json>.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::{CredentialsError, RegistryCredentials};

/// Credentials with the domain that image references use (`registry.test:5001`).
pub type Entries<'a> = Vec<(String, &'a RegistryCredentials)>;

/// Returns a config with these entries only.
#[must_use]
pub fn config(entries: &Entries<'_>) -> SecretString {
    let mut config = Map::new();
    put(&mut config, entries);
    Value::Object(config).to_string().into()
}

/// Returns a config with these entries added or replaced, and everything else unchanged and in its order.
///
/// # Errors
/// `present` is not a docker config.
pub fn merged(present: &[u8], entries: &Entries<'_>) -> Result<SecretString, CredentialsError> {
    let mut config = read(present)?;
    put(&mut config, entries);
    Ok(write(present, &config))
}

/// Returns a config in which the entries of these domains are those of an earlier config, or are removed if that had
/// none; `None` if nothing is left.
///
/// # Errors
/// `present` is not a docker config.
pub fn restored(
    present: &[u8],
    domains: &[String],
    earlier: &[u8],
) -> Result<Option<SecretString>, CredentialsError> {
    let mut config = read(present)?;
    let earlier = read(earlier).unwrap_or_default();
    if let Some(auths) = config.get_mut("auths").and_then(Value::as_object_mut) {
        for domain in domains {
            match earlier.get("auths").and_then(|auths| auths.get(domain)) {
                Some(entry) => drop(auths.insert(domain.clone(), entry.clone())),
                None => drop(auths.shift_remove(domain)),
            }
        }
        if auths.is_empty() && !earlier.contains_key("auths") {
            config.shift_remove("auths");
        }
    }
    Ok((!config.is_empty()).then(|| write(present, &config)))
}

/// Returns the `auth` of a domain.
fn auth(config: &[u8], domain: &str) -> Option<String> {
    let config = read(config).ok()?;
    let entry = config.get("auths")?.get(domain)?;
    entry.get("auth")?.as_str().map(str::to_owned)
}

/// Returns whether a config has exactly these credentials for a domain.
#[must_use]
pub fn holds(config: &[u8], domain: &str, credentials: &RegistryCredentials) -> bool {
    auth(config, domain).is_some_and(|auth| auth == credentials.basic().expose_secret())
}

/// Returns the credentials that a config has for a domain.
#[must_use]
pub fn user(config: &[u8], domain: &str) -> Option<RegistryCredentials> {
    RegistryCredentials::from_basic(&auth(config, domain)?)
}

/// Returns whether a config has any entry for a domain.
#[must_use]
pub fn names(config: &[u8], domain: &str) -> bool {
    let config = read(config).unwrap_or_default();
    config
        .get("auths")
        .is_some_and(|auths| auths.get(domain).is_some())
}

/// Parses a config. An empty text is an empty config.
///
/// # Errors
/// It is not JSON, or not a docker config. The error never quotes the text, which may contain passwords.
pub fn read(config: &[u8]) -> Result<Map<String, Value>, CredentialsError> {
    if config.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    // The place only, without serde's message, which may quote a password.
    let place = |error: serde_json::Error| {
        CredentialsError::InvalidConfig(format!(
            "not valid JSON at line {}, column {}",
            error.line(),
            error.column()
        ))
    };
    let config: Value = serde_json::from_slice(config).map_err(place)?;
    match config {
        Value::Object(config) if is_map(config.get("auths")) => Ok(config),
        _ => Err(CredentialsError::InvalidConfig(
            "must be an object, and `auths` in it too".to_owned(),
        )),
    }
}

/// Returns whether a value is an object or nothing. docker takes `null` for an empty map.
fn is_map(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.is_object() || value.is_null())
}

fn put(config: &mut Map<String, Value>, entries: &Entries<'_>) {
    let auths = config.entry("auths").or_insert_with(|| json!({}));
    for (domain, credentials) in entries {
        auths[domain] = json!({"auth": credentials.basic().expose_secret()});
    }
}

/// Returns a config as text, with the indentation of `present`: docker uses tabs, and people may use spaces.
#[must_use]
pub fn write(present: &[u8], config: &Map<String, Value>) -> SecretString {
    let indent: Vec<u8> = present
        .split(|byte| *byte == b'\n')
        .nth(1)
        .map(|line| {
            line.iter()
                .copied()
                .take_while(|byte| matches!(byte, b' ' | b'\t'))
                .collect()
        })
        .unwrap_or_default();
    if indent.is_empty() && present.trim_ascii().len() > 2 {
        return Value::Object(config.clone()).to_string().into();
    }
    let indent = if indent.is_empty() { b"\t" } else { &*indent };
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    let mut writer = serde_json::Serializer::with_formatter(&mut text, formatter);
    // Serializing a JSON map to memory does not fail.
    if serde::Serialize::serialize(config, &mut writer).is_err() {
        return Value::Object(config.clone()).to_string().into();
    }
    if present.ends_with(b"\n") {
        text.push(b'\n');
    }
    String::from_utf8_lossy(&text).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> RegistryCredentials {
        RegistryCredentials::new("me", "pw".to_owned()).unwrap()
    }

    const THEIRS: &[u8] = b"{\n\t\"zeta\": 1,\n\t\"auths\": {\n\t\t\"ghcr.io\": {\n\t\t\t\"auth\": \"eDp5\"\n\t\t}\n\t},\n\t\"alpha\": {}\n}";

    #[test]
    fn entries_of_others_stay_unchanged() {
        let me = me();
        let domain = "registry.test:5001".to_owned();
        let with = merged(THEIRS, &vec![(domain.clone(), &me)]).unwrap();
        let with = with.expose_secret().as_bytes();
        assert!(holds(with, &domain, &me) && names(with, "ghcr.io"));
        let back = restored(with, std::slice::from_ref(&domain), THEIRS)
            .unwrap()
            .unwrap();
        assert_eq!(back.expose_secret().as_bytes(), THEIRS);
    }

    #[test]
    fn a_replaced_entry_is_restored() {
        let me = me();
        let mine = vec![("ghcr.io".to_owned(), &me)];
        let with = merged(THEIRS, &mine).unwrap();
        assert!(holds(with.expose_secret().as_bytes(), "ghcr.io", &me));
        let domains = ["ghcr.io".to_owned()];
        let back = restored(with.expose_secret().as_bytes(), &domains, THEIRS).unwrap();
        assert_eq!(back.unwrap().expose_secret().as_bytes(), THEIRS);
    }

    #[test]
    fn a_config_with_only_kindregs_entries_is_removed() {
        let me = me();
        let entries = vec![
            ("a.test:1".to_owned(), &me),
            ("localhost:1".to_owned(), &me),
        ];
        let domains: Vec<String> = entries.iter().map(|(domain, _)| domain.clone()).collect();
        for empty in [&b""[..], b"{}", b" \n"] {
            let with = merged(empty, &entries).unwrap();
            let with = with.expose_secret().as_bytes();
            assert!(
                restored(with, &domains, b"").unwrap().is_none(),
                "{empty:?}"
            );
        }
        let config = config(&entries);
        assert!(holds(config.expose_secret().as_bytes(), "localhost:1", &me));
        assert!(!holds(config.expose_secret().as_bytes(), "localhost", &me));
    }

    #[test]
    fn a_damaged_config_is_refused_without_quoting_it() {
        for text in [
            "{\"auths\": {\"x\": {\"auth\": \"secret",
            "[]",
            "{\"auths\": 3}",
        ] {
            let error = merged(text.as_bytes(), &Vec::new())
                .unwrap_err()
                .to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
