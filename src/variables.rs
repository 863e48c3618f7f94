//! The variables that a CI job needs to use a registry, in the formats that CI systems read. Pure.

use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::credentials::RegistryCredentials;
use crate::spec::{Invalid, Registry};

/// The format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `export NAME='value'`, for `eval`.
    Shell,
    /// `NAME="value"`, as docker compose and most libraries read it.
    Dotenv,
    /// One JSON object.
    Json,
    /// `NAME=value`, for `>>"$GITHUB_ENV"`:
    /// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.
    Github,
    /// `NAME=value`, for `artifacts:reports:dotenv`, which takes no quotes:
    /// <https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv>.
    Gitlab,
}

/// A variable; its `Debug` form does not show the value.
#[derive(Debug, Clone)]
pub struct Variable {
    name: String,
    value: SecretString,
}

/// The text that replaces a hidden password.
pub const MASK: &str = "***";

/// Whether passwords are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// Passwords are shown.
    Shown,
    /// Passwords are replaced by `MASK`.
    Masked,
}

/// The prefix of the variables' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl FromStr for Prefix {
    type Err = Invalid;
    /// Accepts only names that are valid in a shell: the name goes unquoted into a text that a shell evaluates.
    fn from_str(value: &str) -> Result<Self, Invalid> {
        let first = |sign: char| sign.is_ascii_alphabetic() || sign == '_';
        let all = |sign: char| first(sign) || sign.is_ascii_digit();
        if value.starts_with(first) && value.chars().all(all) && value.len() <= 200 {
            return Ok(Self(value.to_owned()));
        }
        Err(Invalid {
            what: "prefix",
            value: value.to_owned(),
            why: "must be at most 200 letters, digits and underscores, without a digit first"
                .to_owned(),
        })
    }
}

impl Prefix {
    /// Returns the prefix for one of several registries: this one and the registry's name.
    #[must_use]
    pub fn of(&self, registry: &Registry) -> Self {
        Self(format!("{}_{}", self.0, upper(registry.name.as_str())))
    }
}

/// Returns the default prefix of a registry's variables: `KINDREG_REGISTRY` for `registry`.
#[must_use]
pub fn prefix(registry: &Registry) -> Prefix {
    Prefix("KINDREG".to_owned()).of(registry)
}

/// Returns a name as part of a variable's name: `my-registry` is `MY_REGISTRY`.
fn upper(name: &str) -> String {
    let sign = |sign: char| match sign {
        'a'..='z' => sign.to_ascii_uppercase(),
        'A'..='Z' | '0'..='9' => sign,
        _ => '_',
    };
    name.chars().map(sign).collect()
}

/// Returns the variables of one registry. User and password are among them only if `user` is given.
#[must_use]
pub fn variables(
    Prefix(prefix): &Prefix,
    registry: &Registry,
    user: Option<&RegistryCredentials>,
    secrets: Secrets,
) -> Vec<Variable> {
    let variable = |suffix: &str, value: String| Variable {
        name: format!("{prefix}_{suffix}"),
        value: value.into(),
    };
    let mut all = vec![variable("HOST", registry.domain())];
    let local = registry.local_domain();
    all.extend(local.map(|local| variable("LOCAL_HOST", local)));
    if let Some(user) = user {
        all.push(variable("USR", user.user().to_owned()));
        let password = match secrets {
            Secrets::Shown => user.password().expose_secret(),
            Secrets::Masked => MASK,
        };
        all.push(variable("PSW", password.to_owned()));
    }
    all
}

/// Returns the variables as text: one line each, or one object in JSON.
#[must_use]
pub fn formatted(variables: &[Variable], format: Format) -> SecretString {
    if format == Format::Json {
        let value = |one: &Variable| Value::from(one.value.expose_secret());
        let pairs = variables.iter().map(|one| (one.name.clone(), value(one)));
        let object: Map<String, Value> = pairs.collect();
        return Value::Object(object).to_string().into();
    }
    let lines: Vec<String> = variables
        .iter()
        .map(|Variable { name, value }| {
            let value = value.expose_secret();
            match format {
                Format::Shell => format!("export {name}='{}'", value.replace('\'', r"'\''")),
                Format::Dotenv => format!("{name}={}", quoted(value)),
                Format::Github | Format::Gitlab | Format::Json => format!("{name}={value}"),
            }
        })
        .collect();
    lines.join("\n").into()
}

/// Returns a value in quotes. Single quotes are preferred, as nothing is expanded in them.
fn quoted(value: &str) -> String {
    if !value.contains('\'') {
        return format!("'{value}'");
    }
    let mut text = String::from("\"");
    for sign in value.chars() {
        if matches!(sign, '"' | '\\' | '$' | '`') {
            text.push('\\');
        }
        text.push(sign);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(password: &str, format: Format, secrets: Secrets) -> String {
        let registry: Registry = serde_json::from_value(serde_json::json!({
            "name": "my-registry", "host": "registry.test", "port": 5001,
            "backend": {"distribution": {"image": "registry:3", "serves": {"pushed": {}}}}
        }))
        .unwrap();
        let user = RegistryCredentials::new("me", password.to_owned()).unwrap();
        let all = variables(&prefix(&registry), &registry, Some(&user), secrets);
        formatted(&all, format).expose_secret().to_owned()
    }

    #[test]
    fn each_format_is_as_its_reader_expects() {
        let shown = |format| text("s3cret", format, Secrets::Shown);
        assert_eq!(
            shown(Format::Shell),
            "export KINDREG_MY_REGISTRY_HOST='registry.test:5001'\n\
             export KINDREG_MY_REGISTRY_LOCAL_HOST='localhost:5001'\n\
             export KINDREG_MY_REGISTRY_USR='me'\n\
             export KINDREG_MY_REGISTRY_PSW='s3cret'"
        );
        assert!(shown(Format::Github).ends_with("\nKINDREG_MY_REGISTRY_PSW=s3cret"));
        let json: Value = serde_json::from_str(&shown(Format::Json)).unwrap();
        assert_eq!(json["KINDREG_MY_REGISTRY_PSW"], "s3cret");
    }

    #[test]
    fn no_value_breaks_out_of_its_quotes() {
        let nasty = r#"it's "$HOME" `id` \ #x"#;
        let shell = text(nasty, Format::Shell, Secrets::Shown);
        let script = format!("{shell}\nprintf %s \"$KINDREG_MY_REGISTRY_PSW\"");
        let said = std::process::Command::new("sh")
            .args(["-c", &script])
            .output();
        assert_eq!(String::from_utf8(said.unwrap().stdout).unwrap(), nasty);
        let dotenv = text(nasty, Format::Dotenv, Secrets::Shown);
        assert!(
            dotenv.ends_with(r#"PSW="it's \"\$HOME\" \`id\` \\ #x""#),
            "{dotenv}"
        );
        assert!(text("a b#c", Format::Dotenv, Secrets::Shown).ends_with("PSW='a b#c'"));
    }

    #[test]
    fn passwords_are_masked_unless_asked_for() {
        for format in [
            Format::Shell,
            Format::Dotenv,
            Format::Json,
            Format::Github,
            Format::Gitlab,
        ] {
            let masked = text("s3cret", format, Secrets::Masked);
            assert!(!masked.contains("s3cret") && masked.contains(MASK));
        }
    }
}
