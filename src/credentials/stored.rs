//! The users in a registry's secret volume: the current one, and one that a rotation is replacing.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{CredentialsError, RegistryCredentials, USER_A, USER_B, admits};
use crate::nonce::nonce;

/// The users of a registry, as stored in `credentials.json` of its secret volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Identifies these credentials, so that they can be told from earlier ones. It is not a secret.
    pub serial: String,
    /// The user for nodes, the host and Secrets.
    pub current: RegistryCredentials,
    /// The previous user, accepted until the rotation is finished.
    pub retiring: Option<RegistryCredentials>,
}

impl Stored {
    /// Returns a registry's first user.
    pub fn new(current: RegistryCredentials) -> Result<Self, CredentialsError> {
        Ok(Self {
            serial: nonce()?,
            current,
            retiring: None,
        })
    }

    /// Begins a rotation: returns a new current user, with the previous one as retiring.
    pub fn rotated(self) -> Result<Self, CredentialsError> {
        let user = if self.current.user() == USER_A {
            USER_B
        } else {
            USER_A
        };
        let mut next = Self::new(RegistryCredentials::generate(user)?)?;
        next.retiring = Some(self.current);
        Ok(next)
    }

    /// Finishes a rotation: returns the users without the retiring one.
    #[must_use]
    pub fn retired(self) -> Self {
        Self {
            retiring: None,
            ..self
        }
    }

    fn users(&self) -> impl Iterator<Item = &RegistryCredentials> {
        std::iter::once(&self.current).chain(&self.retiring)
    }

    /// Returns the htpasswd file for these users.
    pub fn htpasswd(&self) -> Result<String, CredentialsError> {
        self.users().map(RegistryCredentials::htpasswd).collect()
    }

    /// Returns whether an htpasswd file accepts exactly these users.
    #[must_use]
    pub fn is_in(&self, htpasswd: &str) -> bool {
        let lines = htpasswd.lines().filter(|line| !line.trim().is_empty());
        lines.count() == self.users().count() && self.users().all(|user| admits(htpasswd, user))
    }

    /// Returns the text of `credentials.json`.
    #[must_use]
    pub fn to_json(&self) -> SecretString {
        let one = |one: &RegistryCredentials| json!({"user": one.user(), "password": one.password().expose_secret()});
        json!({
            "serial": self.serial,
            "current": one(&self.current),
            "retiring": self.retiring.as_ref().map(one),
        })
        .to_string()
        .into()
    }

    /// Parses `credentials.json`.
    ///
    /// # Errors
    /// It is damaged. The error never quotes the text.
    pub fn from_json(text: &[u8]) -> Result<Self, CredentialsError> {
        // serde's message may quote a password.
        let damaged = || CredentialsError::Damaged("credentials.json");
        let value: Value = serde_json::from_slice(text).map_err(|_| damaged())?;
        let one = |value: &Value| match (value["user"].as_str(), value["password"].as_str()) {
            (Some(user), Some(password)) => RegistryCredentials::new(user, password.to_owned()),
            _ => Err(damaged()),
        };
        let retiring = &value["retiring"];
        Ok(Self {
            serial: value["serial"].as_str().ok_or_else(damaged)?.to_owned(),
            current: one(&value["current"])?,
            retiring: (!retiring.is_null()).then(|| one(retiring)).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_accepts_both_users_and_then_only_the_new_one() {
        let first = Stored::new(RegistryCredentials::generate(USER_A).unwrap()).unwrap();
        let htpasswd = first.htpasswd().unwrap();
        assert!(
            htpasswd.starts_with("kindreg-a:$2y$04$"),
            "every reader of htpasswd knows this form"
        );
        assert!(first.is_in(&htpasswd));
        let both = first.clone().rotated().unwrap();
        assert_eq!(both.current.user(), USER_B);
        assert!(!both.is_in(&htpasswd));
        let htpasswd = both.htpasswd().unwrap();
        assert!(both.is_in(&htpasswd) && admits(&htpasswd, &first.current));
        let second = both.clone().retired();
        assert!(!second.is_in(&htpasswd), "the old user is still accepted");
        assert_eq!(second.serial, both.serial);
        assert_eq!(second.rotated().unwrap().current.user(), USER_A);
    }

    #[test]
    fn json_round_trips_and_errors_never_quote_it() {
        let both = Stored::new(RegistryCredentials::generate(USER_A).unwrap())
            .unwrap()
            .rotated()
            .unwrap();
        let json = both.to_json();
        assert_eq!(
            Stored::from_json(json.expose_secret().as_bytes()).unwrap(),
            both
        );
        let error = Stored::from_json(br#"{"current":{"user":"x:y","password":"hunter2"}}"#);
        assert!(!format!("{:?}", error.unwrap_err()).contains("hunter2"));
    }
}
