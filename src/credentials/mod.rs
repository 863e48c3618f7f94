//! Who may use a registry: users and passwords, in a type that can't be printed.
//!
//! Pure but for the random numbers. A password leaves this folder as a base64 `auth`, as a bcrypt hash, or on the
//! standard input of a program; never in an argument, a label, a log, an event or an error.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

pub mod auths;
mod stored;

pub use stored::Stored;

/// The user whom `up` makes.
pub const USER_A: &str = "kindreg-a";
/// The user whom the first rotation makes; the next one makes [`USER_A`] again.
pub const USER_B: &str = "kindreg-b";

/// Length of a generated password: 62 signs to choose from make it 238 bits.
const LENGTH: usize = 40;
/// Tokens of cloud registries have some 2500 signs, and nothing that people use has more than this.
const LONGEST_GIVEN: usize = 16 * 1024;
/// bcrypt reads no more bytes of a password than these, so that longer ones would be alike.
const LONGEST: usize = 72;
/// The plain password lies beside the hash, for the nodes: a costlier one (10 takes 60 ms a request) guards nothing.
const COST: u32 = 4;

/// Why credentials could not be made or read. Never says what the password is.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Basic authentication ends the user at the first colon.
    #[error("a user name has one to 64 letters, digits and . _ - @ +")]
    BadUser,
    /// bcrypt has its limit; the client of the engine's API encodes the rest in a way that the engine refuses:
    /// bollard 0.21 takes plain base64 where URL-safe base64 is asked for.
    #[error("a password has one to {LONGEST} printable ASCII signs, none of them > ? or ~")]
    BadPassword,
    /// `config.json` of kubelet and variables of CI jobs have room for nothing else.
    #[error(
        "a user name is no longer than {LONGEST_GIVEN} bytes and has no colon, and neither it nor a password is empty or has control characters"
    )]
    BadGiven,
    /// A file of credentials can't be read.
    #[error("{0} is not what kindreg wrote")]
    Damaged(&'static str),
    /// A docker config can't be read.
    #[error("it is no docker config: {0}")]
    NoConfig(String),
    /// The system has no random numbers.
    #[error("no random numbers are to be had: {0}")]
    Random(#[from] getrandom::Error),
    /// The password could not be hashed.
    #[error("the password could not be hashed: {0}")]
    Hash(#[from] bcrypt::BcryptError),
}

/// A user of a registry and their password. Its `Debug` form shows the user alone.
#[derive(Debug, Clone)]
pub struct RegistryCredentials {
    user: String,
    password: SecretString,
}

impl RegistryCredentials {
    /// Credentials of one's own.
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

    /// Credentials that another registry made: as it likes them, so long as kubelet and CI can hold them.
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

    /// What stands in HTTP's and docker's `auth`; `None` where that is none.
    #[must_use]
    pub fn from_basic(auth: &str) -> Option<Self> {
        let plain = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
        // docker itself ended it with NUL, once upon a time.
        let (user, password) = plain.trim_end_matches('\0').split_once(':')?;
        Self::given(user, password.to_owned()).ok()
    }

    /// A user with a random password, of letters and digits alone: it needs no quoting anywhere.
    pub fn generate(user: &str) -> Result<Self, CredentialsError> {
        const SIGNS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut password = String::with_capacity(LENGTH);
        while password.len() < LENGTH {
            let mut bytes = [0; 64];
            getrandom::fill(&mut bytes)?;
            // 248 is the largest multiple of 62 in a byte: beyond it the first signs would be likelier.
            let signs = bytes.iter().filter(|byte| **byte < 248);
            let signs = signs.map(|byte| char::from(SIGNS[usize::from(byte % 62)]));
            password.extend(signs.take(LENGTH - password.len()));
        }
        Self::new(user, password)
    }

    /// The user's name; no secret.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password.
    #[must_use]
    pub const fn password(&self) -> &SecretString {
        &self.password
    }

    /// `user:password` in base64, as HTTP and docker's config have it. As secret as the password.
    #[must_use]
    pub fn basic(&self) -> SecretString {
        let plain = format!("{}:{}", self.user, self.password.expose_secret());
        STANDARD.encode(plain).into()
    }

    /// Options for curl, for its standard input (`-K -`).
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

    /// A line of an htpasswd file.
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

/// Whether an htpasswd file lets this user in with this password.
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
    fn generated_passwords_are_long_plain_and_never_alike() {
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
    fn what_basic_htpasswd_or_bcrypt_can_not_hold_is_refused() {
        let new = |user: &str, password: &str| RegistryCredentials::new(user, password.to_owned());
        assert!(new("a:b", "x").is_err() && new("", "x").is_err() && new("a", "").is_err());
        assert!(new("a", "two\nlines").is_err() && new("a", "a~").is_err());
        assert!(new("a", &"x".repeat(73)).is_err());
        assert!(new("a", &"x".repeat(72)).is_ok());
    }

    #[test]
    fn what_other_registries_made_is_taken_as_it_is() {
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
