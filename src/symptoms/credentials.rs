//! What is wrong with credentials, from the words of containerd, docker and the registries. Pure.
//!
//! All of these come after TLS was verified, or the words would be of x509: trust is not what is to be mended.

use super::{Meaning, find_in_pull};

/// What is wrong with credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The registry asks, and none were given.
    None,
    /// They were given, and refused (401).
    Wrong,
    /// They are known, and may not do this (403).
    Forbidden,
    /// The registry sends its clients for a token to something that gives none.
    Realm,
    /// The registry sends its clients for a token to a server that does not answer, or is not trusted.
    TokenServer,
    /// Docker's config names a helper that is not installed.
    Helper,
}

/// What is wrong with credentials; `None` where the words are about something else.
#[must_use]
pub fn diagnose(said: &str) -> Option<Trouble> {
    match find_in_pull(said)?.meaning {
        Meaning::Credentials(trouble) => Some(trouble),
        _ => None,
    }
}

impl Trouble {
    /// What it means.
    #[must_use]
    pub const fn cause(self) -> &'static str {
        match self {
            Self::None => {
                "the registry asks for a password, and none was given; its certificate is trusted"
            }
            Self::Wrong => "the registry refused user and password; its certificate is trusted",
            Self::Forbidden => "the registry knows the user, who may not do this there",
            Self::Realm => {
                "the registry sends its clients for a token to an address that gives none"
            }
            Self::TokenServer => {
                "the server that gives the registry's tokens is not reached, not trusted, or out of order"
            }
            Self::Helper => "docker's config names a credential helper that is not installed",
        }
    }

    /// What to type next, with `CLUSTER` for the cluster's name.
    #[must_use]
    pub const fn fix(self) -> &'static str {
        match self {
            Self::None => {
                "nodes get it by: kindreg up --name CLUSTER; docker by: kindreg login --name CLUSTER; another cluster \
                 by: kindreg secret --name CLUSTER --dry-run"
            }
            Self::Wrong => {
                "hand out today's password again: kindreg up --name CLUSTER, kindreg login --name CLUSTER, and, \
                 where there are secrets, kindreg secret --name CLUSTER; kubelet remembers an old one for five \
                 minutes: docker exec NODE systemctl restart kubelet"
            }
            Self::Forbidden => {
                "ask who runs the registry for the right, or log in as another user: docker login HOST"
            }
            Self::Realm => {
                "see where it sends to: curl -sI https://HOST/v2/ | grep -i www-authenticate; the realm there is to \
                 be the URL of a token server (Nexus: Docker Bearer Token Realm, and the base URL)"
            }
            Self::TokenServer => {
                "see where the registry sends to: curl -sI https://HOST/v2/ | grep -i www-authenticate; nodes must \
                 resolve that name and trust its CA as well"
            }
            Self::Helper => {
                "install the helper, or take credsStore or credHelpers out of ~/.docker/config.json, and log in again"
            }
        }
    }

    /// What to type next, for a cluster of that name.
    #[must_use]
    pub fn next(self, cluster: &str) -> String {
        self.fix().replace("CLUSTER", cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the nodes' containerd, docker, crane, skopeo and oras said it to the end-to-end tests, or as their sources
    /// have it where it takes a registry that is not to be had.
    #[test]
    fn each_trouble_is_known_by_the_words_of_its_teller() {
        for (trouble, all) in [
            (Trouble::None, NONE),
            (Trouble::Wrong, WRONG),
            (Trouble::Forbidden, FORBIDDEN),
            (Trouble::Realm, REALM),
            (Trouble::TokenServer, TOKEN_SERVER),
            (Trouble::Helper, HELPER),
        ] {
            for said in all {
                assert_eq!(diagnose(said), Some(trouble), "{said}");
            }
        }
    }

    const NONE: &[&str] = &[
        r#"failed to pull and unpack image "r.test:1/a:1": failed to resolve reference "r.test:1/a:1": pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials"#,
        r#"Head "https://r.test:1/v2/a/manifests/1": no basic auth credentials"#,
        "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://r.test:2/token?scope=repository%3Aa%3Apull&service=r: 401 Unauthorized",
        // oras.
        "Error: basic credential not found",
    ];
    const WRONG: &[&str] = &[
        // docker asks a registry on loopback again over HTTP.
        "Error response from daemon: login attempt to http://localhost:5701/v2/ failed with status: 400 Bad Request",
        r#"failed to resolve reference "r.test:1/a:1": unexpected status from HEAD request to https://r.test:1/v2/a/manifests/1: 401 Unauthorized"#,
        "pull access denied, repository does not exist or may require authorization: authorization failed",
        r#"failed to resolve reference "r.test:1/a:1": failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://r.test:2/token?scope=repository%3Aa%3Apull&service=r: 401 Unauthorized"#,
        r#"Error response from daemon: Get "https://r.test/v2/": unauthorized: authentication required"#,
        // crane and skopeo.
        "GET https://localhost:1/v2/a/manifests/1: UNAUTHORIZED: authentication required; [map[Action:pull Class: Name:a Type:repository]]",
        "reading manifest 1 in localhost:1/a: unauthorized: authentication required",
    ];
    const FORBIDDEN: &[&str] = &[
        "unexpected status from HEAD request to https://r.test/v2/a/manifests/1: 403 Forbidden",
        "denied: requested access to the resource is denied",
        "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
        "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://r.test:2/token?scope=repository%3Aa%3Apull&service=r: 403 Forbidden",
    ];
    const REALM: &[&str] = &[
        "failed to authorize: no realm specified for token auth challenge",
        "failed to fetch anonymous token: unable to decode token response: invalid character '<' looking for beginning of value",
        "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://r.test:2/nothing?scope=repository%3Aa%3Apull&service=r: 404 Not Found",
        "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://r.test:2/nothing?scope=repository%3Aa%3Apull&service=r: 404 Not Found",
        r#"invalid realm in www-authenticate: realm host "172.17.0.1" is a private or link-local address"#,
    ];
    const TOKEN_SERVER: &[&str] = &[
        r#"failed to authorize: failed to fetch oauth token: Post "https://r.test:2/token": dial tcp 172.17.0.1:2: connect: connection refused"#,
        r#"failed to authorize: failed to fetch oauth token: Post "https://nowhere.test:2/token": dial tcp: lookup nowhere.test on 172.18.0.1:53: no such host"#,
        r#"failed to authorize: failed to fetch anonymous token: Get "https://nowhere.test:2/token?scope=repository%3Aa%3Apull&service=r": dial tcp: lookup nowhere.test on 172.18.0.1:53: no such host"#,
        r#"failed to fetch oauth token: Post "https://auth.test/token": tls: failed to verify certificate: x509: certificate signed by unknown authority"#,
        "failed to fetch oauth token: unexpected status from POST request to https://auth.test/token: 503 Service Unavailable",
        r#"HEAD "https://r.test:1/v2/a/manifests/1": Get "https://r.test:2/token?service=r": dial tcp 127.0.0.1:2: connect: connection refused"#,
    ];
    const HELPER: &[&str] = &[
        r#"error getting credentials - err: exec: "docker-credential-desktop": executable file not found in $PATH, out: ``"#,
    ];

    #[test]
    fn what_is_about_trust_or_the_way_there_is_not_about_credentials() {
        for said in [
            r#"failed to do request: Head "https://r.test:1/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority"#,
            "dial tcp: lookup r.test on 172.18.0.1:53: no such host",
            "http: server gave HTTP response to HTTPS client",
            "manifest unknown",
        ] {
            assert_eq!(diagnose(said), None, "{said}");
        }
    }

    #[test]
    fn each_trouble_has_its_own_cause_and_command() {
        let all = [
            Trouble::None,
            Trouble::Wrong,
            Trouble::Forbidden,
            Trouble::Realm,
            Trouble::TokenServer,
            Trouble::Helper,
        ];
        for (place, trouble) in all.iter().enumerate() {
            let rest = &all[place + 1..];
            assert!(rest.iter().all(|other| other.cause() != trouble.cause()));
            assert!(
                rest.iter()
                    .all(|other| other.next("c") != trouble.next("c"))
            );
        }
    }
}
