//! distribution's configuration file, for a cache that logs in to its upstream. The password is in a file because
//! everybody who may inspect the container sees its environment.

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use crate::credentials::RegistryCredentials;
use crate::spec::Upstream;

/// Returns the text of the file, for a cache of `upstream` with its images in the folder `store`. Settings in the
/// container's environment override it: <https://distribution.github.io/distribution/about/configuration/>.
///
/// The URL is in the file beside the credentials, so that they are never sent to another one. The other settings are
/// those of the official image's file, which this one replaces:
/// <https://github.com/distribution/distribution-library-image>.
///
/// # Errors
/// The settings can't be serialised.
pub(super) fn config(
    store: &str,
    upstream: &Upstream,
    login: &RegistryCredentials,
) -> Result<SecretString, serde_yaml::Error> {
    let settings = json!({
        "version": 0.1,
        "storage": {
            "cache": {"blobdescriptor": "inmemory"},
            "filesystem": {"rootdirectory": store},
        },
        "http": {"headers": {"X-Content-Type-Options": ["nosniff"]}},
        "health": {"storagedriver": {"enabled": true, "interval": "10s", "threshold": 3}},
        "proxy": {
            "remoteurl": upstream.url(),
            "username": login.user(),
            "password": login.password().expose_secret(),
        },
    });
    Ok(serde_yaml::to_string(&settings)?.into())
}

/// Returns the credentials for `upstream` in such a file; `None` if the file is for another upstream or invalid.
pub(super) fn held(file: &Bytes, upstream: &Upstream) -> Option<RegistryCredentials> {
    #[derive(Deserialize)]
    struct Config {
        proxy: Proxy,
    }
    #[derive(Deserialize)]
    struct Proxy {
        remoteurl: String,
        username: String,
        password: String,
    }
    let Config { proxy } = serde_yaml::from_slice(file).ok()?;
    if proxy.remoteurl != upstream.url() {
        return None;
    }
    RegistryCredentials::given(proxy.username, proxy.password).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(of: &str) -> Upstream {
        of.parse().unwrap()
    }

    fn text(user: &str, password: &str) -> String {
        let login = RegistryCredentials::given(user, password.to_owned()).unwrap();
        let upstream = upstream("nexus.test:8443");
        let store = "/var/lib/registry/nexus.test:8443";
        let text = config(store, &upstream, &login).unwrap();
        text.expose_secret().to_owned()
    }

    #[test]
    fn config_has_all_settings_that_distribution_needs() {
        assert_eq!(
            text("robot$me", "pw"),
            "version: 0.1\n\
             storage:\n  cache:\n    blobdescriptor: inmemory\n  filesystem:\n    rootdirectory: /var/lib/registry/nexus.test:8443\n\
             http:\n  headers:\n    X-Content-Type-Options:\n    - nosniff\n\
             health:\n  storagedriver:\n    enabled: true\n    interval: 10s\n    threshold: 3\n\
             proxy:\n  remoteurl: https://nexus.test:8443\n  username: robot$me\n  password: pw\n"
        );
    }

    #[test]
    fn every_password_is_read_back_unchanged() {
        let upstream = upstream("nexus.test:8443");
        for password in [
            r#"it's "quoted""#,
            "a: b # c",
            "- x",
            "{{ .Env }} ${HOME} $(id)",
            "&a *b !!binary eA== |",
            "\\n\\\"",
            " leading and trailing ",
            "~",
            "null",
            "yes",
            "no",
            "0123",
            "0x1F",
            "1e3",
            ".inf",
            "12:30:45",
            "2001-01-01",
            "<<",
            "=",
            "%TAG",
            "@`",
            "ä€\u{1f600}",
            "\u{2028}\u{2029}\u{feff}\u{a0}\u{fffe}",
            &*"x y".repeat(5000),
        ] {
            for (user, password) in [("me", password), (password.split(':').next().unwrap(), "x")] {
                let text = text(user, password);
                let read = held(&text.into(), &upstream).unwrap();
                assert_eq!(
                    read,
                    RegistryCredentials::given(user, password.to_owned()).unwrap()
                );
            }
        }
        // YAML reads these as null unless they are quoted.
        for nothing in ["~", "null", "Null", "NULL"] {
            let text = text("me", nothing);
            assert!(
                text.ends_with(&format!("password: '{nothing}'\n")),
                "{text}"
            );
        }
    }

    #[test]
    fn credentials_for_another_upstream_are_not_returned() {
        let text = Bytes::from(text("me", "pw"));
        for other in ["nexus.test", "nexus.test:8444", "docker.io"] {
            assert_eq!(held(&text, &upstream(other)), None, "{other}");
        }
        let upstream = upstream("nexus.test:8443");
        for broken in ["", "proxy: 1", "proxy: {remoteurl: x}", "{", "\u{0}"] {
            assert_eq!(held(&Bytes::from(broken), &upstream), None, "{broken:?}");
        }
        let empty = "proxy: {remoteurl: 'https://nexus.test:8443', username: a, password: ''}";
        assert_eq!(held(&Bytes::from(empty), &upstream), None);
    }
}
