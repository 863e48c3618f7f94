//! Users and passwords of registries, in a type that can't be printed.
//!
//! Pure except for random numbers. A password leaves this folder as a base64 `auth`, as a bcrypt hash, or on the
//! standard input of a program; never in an argument, a label, a log, an event or an error.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

pub mod auths;
mod stored;

pub use stored::Stored;

/// The user that `up` creates.
pub const USER_A: &str = "kindreg-a";
/// The user that the first rotation creates; the next one creates [`USER_A`] again.
pub const USER_B: &str = "kindreg-b";

/// Length of a generated password in characters. With 62 characters to choose from, it has 238 bits.
const LENGTH: usize = 40;
/// The most bytes of a user name or password of another registry. Tokens of cloud registries have about 2500.
const LONGEST_GIVEN: usize = 16 * 1024;
/// The most bytes of a registry's password: bcrypt ignores all further ones.
const LONGEST: usize = 72;
/// bcrypt's cost. The plain password is beside the hash, for the nodes, so a higher cost (10 takes 60 ms a request)
/// protects nothing.
const COST: u32 = 4;

/// Why credentials can't be created or read. It never contains the password.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// An invalid user name. Basic authentication allows no colon in it.
    #[error("invalid user name: must be 1 to 64 letters, digits, '.', '_', '-', '@' or '+'")]
    BadUser,
    /// An invalid password. bcrypt limits its length. The engine refuses `>`, `?` and `~`, as bollard 0.21 encodes
    /// credentials in plain base64 instead of URL-safe base64.
    #[error(
        "invalid password: must be 1 to {LONGEST} printable ASCII characters other than '>', '?' and '~'"
    )]
    BadPassword,
    /// Credentials of another registry that `config.json` of kubelet or variables of CI jobs can't hold.
    #[error(
        "invalid credentials: user name and password must be 1 to {LONGEST_GIVEN} bytes without control characters, \
         and the user name must not contain ':'"
    )]
    BadGiven,
    /// A file of credentials that kindreg wrote can't be read.
    #[error("can't read {0}: it is damaged, or another program changed it")]
    Damaged(&'static str),
    /// Not a docker config.
    #[error("invalid docker config: {0}")]
    InvalidConfig(String),
    /// The system has no random numbers.
    #[error("can't get random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// The password could not be hashed.
    #[error("can't hash the password: {0}")]
    Hash(#[from] bcrypt::BcryptError),
}

/// A user name and password for a registry. Its `Debug` form shows the user name only.
#[derive(Debug, Clone)]
pub struct RegistryCredentials {
    user: String,
    password: SecretString,
}

impl RegistryCredentials {
    /// Returns credentials for a registry that kindreg runs.
    ///
    /// # Errors
    /// The user name or the password is invalid.
    pub fn new(
        user: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> Result<Self, CredentialsError> {
        let (user, password) = (user.into(), password.into());
        let sign = |sign: char| sign.is_ascii_alphanumeric() || "._-@+".contains(sign);
        if user.is_empty() || user.len() > 64 || !user.chars().all(sign) {
            return Err(CredentialsError::BadUser);
        }
        let text = password.expose_secret();
        let sign = |byte: u8| matches!(byte, b' '..=b'}') && !matches!(byte, b'>' | b'?');
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(sign) {
            return Err(CredentialsError::BadPassword);
        }
        Ok(Self { user, password })
    }

    /// Returns credentials for a registry that somebody else runs, which may have other rules for them.
    ///
    /// # Errors
    /// kubelet's config or variables of CI jobs can't hold them.
    pub fn given(
        user: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> Result<Self, CredentialsError> {
        let (user, password) = (user.into(), password.into());
        let fits = |text: &str| {
            (1..=LONGEST_GIVEN).contains(&text.len()) && !text.contains(char::is_control)
        };
        if fits(&user) && fits(password.expose_secret()) && !user.contains(':') {
            Ok(Self { user, password })
        } else {
            Err(CredentialsError::BadGiven)
        }
    }

    /// Decodes the `auth` of HTTP and of docker's config; `None` if it is invalid.
    #[must_use]
    pub fn from_basic(auth: &str) -> Option<Self> {
        let plain = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
        // Old versions of docker add a NUL at the end.
        let (user, password) = plain.trim_end_matches('\0').split_once(':')?;
        Self::given(user, password.to_owned()).ok()
    }

    /// Returns a user with a random password. It has letters and digits only, so it needs no quoting anywhere.
    ///
    /// # Errors
    /// The user name is invalid, or the system has no random numbers.
    pub fn generate(user: &str) -> Result<Self, CredentialsError> {
        const SIGNS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut password = String::with_capacity(LENGTH);
        while password.len() < LENGTH {
            let mut bytes = [0; 64];
            getrandom::fill(&mut bytes)?;
            // 248 is the largest multiple of 62 in a byte. Larger bytes would make the first characters more likely.
            let signs = bytes.iter().filter(|byte| **byte < 248);
            let signs = signs.map(|byte| char::from(SIGNS[usize::from(byte % 62)]));
            password.extend(signs.take(LENGTH - password.len()));
        }
        Self::new(user, password)
    }

    /// Returns the user name, which is not a secret.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the password.
    #[must_use]
    pub const fn password(&self) -> &SecretString {
        &self.password
    }

    /// Returns `user:password` in base64, as HTTP and docker's config write it. It is as secret as the password.
    #[must_use]
    pub fn basic(&self) -> SecretString {
        let plain = format!("{}:{}", self.user, self.password.expose_secret());
        STANDARD.encode(plain).into()
    }

    /// Returns curl's option for these credentials, for its standard input (`-K -`).
    #[must_use]
    pub fn curl(&self) -> SecretString {
        let mut quoted = String::new();
        for sign in self.password.expose_secret().chars() {
            if matches!(sign, '"' | '\\') {
                quoted.push('\\');
            }
            quoted.push(sign);
        }
        format!("user = \"{}:{quoted}\"\n", self.user).into()
    }

    /// Returns a line of an htpasswd file.
    fn htpasswd(&self) -> Result<String, CredentialsError> {
        let hash = bcrypt::hash_with_result(self.password.expose_secret(), COST)?;
        let mut line = String::new();
        // Apache and nginx know `$2y$` only; distribution takes any: https://pkg.go.dev/golang.org/x/crypto/bcrypt
        let hash = hash.format_for_version(bcrypt::Version::TwoY);
        let _ = writeln!(line, "{}:{hash}", self.user);
        Ok(line)
    }
}

impl PartialEq for RegistryCredentials {
    fn eq(&self, other: &Self) -> bool {
        self.user == other.user && self.password.expose_secret() == other.password.expose_secret()
    }
}

impl Eq for RegistryCredentials {}

/// Returns whether an htpasswd file accepts this user with this password.
#[must_use]
pub fn admits(htpasswd: &str, credentials: &RegistryCredentials) -> bool {
    let mut lines = htpasswd.lines().filter_map(|line| line.split_once(':'));
    lines.any(|(user, hash)| {
        user == credentials.user
            && bcrypt::verify(credentials.password.expose_secret(), hash).unwrap_or(false)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_are_long_plain_and_different() {
        let one = RegistryCredentials::generate(USER_A).unwrap();
        let other = RegistryCredentials::generate(USER_A).unwrap();
        assert_ne!(one, other);
        let text = one.password().expose_secret();
        assert_eq!(text.len(), LENGTH);
        assert!(text.chars().all(|sign| sign.is_ascii_alphanumeric()));
    }

    #[test]
    fn nothing_prints_a_password() {
        let own = RegistryCredentials::new("me", "hunter2".to_owned()).unwrap();
        let shown = format!("{own:?} {:?}", Stored::new(own.clone()).unwrap());
        assert!(
            shown.contains("me") && !shown.contains("hunter2"),
            "{shown}"
        );
        assert!(!shown.contains(own.basic().expose_secret()), "{shown}");
    }

    #[test]
    fn credentials_that_basic_htpasswd_or_bcrypt_can_not_hold_are_refused() {
        let new = |user: &str, password: &str| RegistryCredentials::new(user, password.to_owned());
        assert!(new("a:b", "x").is_err() && new("", "x").is_err() && new("a", "").is_err());
        assert!(new("a", "two\nlines").is_err() && new("a", "a~").is_err());
        assert!(new("a", &"x".repeat(73)).is_err());
        assert!(new("a", &"x".repeat(72)).is_ok());
    }

    #[test]
    fn credentials_of_other_registries_are_kept_unchanged() {
        for (user, password) in [
            ("robot$team+ci", "pass~?>"),
            ("AWS", &*"x".repeat(2500)),
            ("ä", "b:c"),
        ] {
            let one = RegistryCredentials::given(user, password.to_owned()).unwrap();
            let basic = one.basic();
            assert_eq!(
                RegistryCredentials::from_basic(basic.expose_secret()),
                Some(one)
            );
        }
        for (user, password) in [
            ("a:b", "x"),
            ("", "x"),
            ("a", ""),
            ("a", "two\nlines"),
            ("a\u{0}", "x"),
        ] {
            assert!(RegistryCredentials::given(user, password.to_owned()).is_err());
        }
        for no_auth in ["", "%", "YQ==", "Og=="] {
            assert_eq!(RegistryCredentials::from_basic(no_auth), None, "{no_auth}");
        }
    }

    #[test]
    fn curl_reads_any_password() {
        let own = RegistryCredentials::new("me", r#"a"b\c d:#"#.to_owned()).unwrap();
        assert_eq!(
            own.curl().expose_secret(),
            "user = \"me:a\\\"b\\\\c d:#\"\n"
        );
    }
}
