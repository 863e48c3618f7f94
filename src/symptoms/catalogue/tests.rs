//! Every symptom is known by real words, and every entry is complete.

use std::collections::BTreeSet;

use super::{ALL, engine, kubernetes, machine, node, registry};
use crate::symptoms::{Code, Origin, Symptom, find};

/// Real words, as tests on real engines met them, or as the sources have them; each is about its own symptom first.
const EXAMPLES: &[(&Symptom, u16, &[&str])] = &[
    (
        &engine::PORT_TAKEN,
        1,
        &[
            "driver failed programming external connectivity on endpoint x (1): Bind for 0.0.0.0:5000 failed: port is already allocated",
            "failed to set up container networking: driver failed programming external connectivity on endpoint x (1): failed to bind host port 127.0.0.1:80/tcp: address already in use",
            "Error starting userland proxy: listen tcp4 127.0.0.1:80: bind: address already in use",
            "Ports are not available: exposing port TCP 0.0.0.0:80 -> 127.0.0.1:0: listen tcp 0.0.0.0:80: bind: permission denied",
        ],
    ),
    (
        &engine::NAME_TAKEN,
        2,
        &[
            r#"Conflict. The container name "/x" is already in use by container "9e0b". You have to remove (or rename) that container to be able to reuse that name."#,
            "network with name kindreg-c already exists",
        ],
    ),
    (
        &engine::CONNECTED,
        3,
        &["endpoint with name x already exists in network kindreg-c"],
    ),
    (
        &engine::BEING_REMOVED,
        4,
        &["removal of container x is already in progress"],
    ),
    (
        &engine::NOT_RUNNING,
        5,
        &[
            "container 4ab1 is not running",
            "Container x is not running",
        ],
    ),
    (
        &engine::NO_IPV6,
        6,
        &[
            "Cannot read IPv6 setup for bridge br-1: open /proc/sys/net/ipv6/conf/br-1/disable_ipv6: no such file or directory",
            "Failed to Setup IP tables: Unable to enable NAT rule:  (iptables failed: ip6tables --wait -t nat -I POSTROUTING)",
        ],
    ),
    (
        &engine::POOL_OVERLAPS,
        7,
        &[
            "Pool overlaps with other one on this address space",
            "invalid pool request: Pool overlaps with other one on this address space",
        ],
    ),
    (
        &engine::NO_ADDRESS_RANGE,
        8,
        &["all predefined address pools have been fully subnetted"],
    ),
    (
        &engine::ENGINE_UNTRUSTED,
        9,
        &[
            "invalid peer certificate: UnknownIssuer",
            "invalid peer certificate: BadSignature",
        ],
    ),
    (
        &engine::ENGINE_OTHER_NAME,
        10,
        &[
            r#"invalid peer certificate: certificate not valid for name "127.0.0.1"; certificate is only valid for IpAddress(10.77.0.2) or DnsName("engine.test")"#,
        ],
    ),
    (
        &engine::CLIENT_EXPIRED,
        11,
        &["received fatal alert: CertificateExpired"],
    ),
    (
        &engine::CLIENT_REFUSED,
        12,
        &["received fatal alert: CertificateRequired"],
    ),
    (
        &engine::ENGINE_WANTS_TLS,
        13,
        &["Client sent an HTTP request to an HTTPS server."],
    ),
    (
        &engine::NETWORK_IN_USE,
        14,
        &[
            r#"error while removing network: network kindreg-d has active endpoints (name:"tool" id:"7ce5f158a66b")"#,
        ],
    ),
    (
        &node::UNTRUSTED,
        1001,
        &[
            r#"failed to do request: Head "https://r.test:1/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority"#,
            "x509: certificate is valid for other.test, localhost, not registry.test",
            "x509: certificate has expired or is not yet valid: current time 2026-01-02T00:00:00Z is after 2026-01-01T00:00:00Z",
            "x509: cannot validate certificate for 172.18.0.5 because it doesn't contain any IP SANs",
        ],
    ),
    (
        &node::CA_UNREADABLE,
        1002,
        &[
            r#"unable to read CA cert "/etc/containerd/certs.d/r.test:1/ca.crt": open /etc/containerd/certs.d/r.test:1/ca.crt: no such file or directory"#,
        ],
    ),
    (
        &node::PLAIN_HTTP,
        1003,
        &["http: server gave HTTP response to HTTPS client"],
    ),
    (
        &node::NO_SUCH_HOST,
        1004,
        &["dial tcp: lookup nexus.local on 172.18.0.1:53: no such host"],
    ),
    (
        &node::CONNECTION_REFUSED,
        1005,
        &["dial tcp 172.18.0.2:5001: connect: connection refused"],
    ),
    (
        &node::NO_ROUTE,
        1006,
        &["dial tcp 172.18.0.2:5001: connect: no route to host"],
    ),
    (
        &node::TIMED_OUT,
        1007,
        &["dial tcp 10.0.0.5:8443: i/o timeout"],
    ),
    (
        &node::NOT_STARTED,
        1008,
        &[
            "CreateContainerConfigError",
            "CreateContainerError",
            "RunContainerError",
            "StartError",
            "CrashLoopBackOff",
        ],
    ),
    (&node::NOT_FOUND, 1009, &[r#"secret "registry" not found"#]),
    (
        &registry::TOKEN_SERVER_UNTRUSTED,
        2001,
        &[
            r#"failed to fetch oauth token: Post "https://auth.test/token": tls: failed to verify certificate: x509: certificate signed by unknown authority"#,
        ],
    ),
    (
        &registry::TOKEN_SERVER_DOWN,
        2002,
        &[
            r#"failed to authorize: failed to fetch oauth token: Post "https://r.test:2/token": dial tcp 172.17.0.1:2: connect: connection refused"#,
            "failed to fetch oauth token: unexpected status from POST request to https://auth.test/token: 503 Service Unavailable",
        ],
    ),
    (
        &registry::NO_TOKEN_SERVER,
        2003,
        &[
            "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://r.test:2/nothing?scope=repository%3Aa%3Apull&service=r: 404 Not Found",
        ],
    ),
    (
        &registry::NO_ANONYMOUS_TOKEN,
        2004,
        &[
            "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://r.test:2/token?scope=repository%3Aa%3Apull&service=r: 401 Unauthorized",
        ],
    ),
    (
        &registry::INVALID_REALM,
        2005,
        &[
            "failed to authorize: no realm specified for token auth challenge",
            "authorization server did not include a token in the response",
        ],
    ),
    (
        &registry::HELPER_MISSING,
        2006,
        &[
            r#"error getting credentials - err: exec: "docker-credential-desktop": executable file not found in $PATH, out: ``"#,
            "error storing credentials - err: docker-credential-absent resolves to executable in current directory (./docker-credential-absent), out: ``",
        ],
    ),
    (
        &registry::FORBIDDEN,
        2007,
        &[
            "unexpected status from HEAD request to https://r.test/v2/a/manifests/1: 403 Forbidden",
            "denied: requested access to the resource is denied",
            "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
        ],
    ),
    (
        &registry::NO_CREDENTIALS,
        2008,
        &[
            "pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials",
        ],
    ),
    (
        &registry::NO_CREDENTIALS_IN_ORAS,
        2009,
        &["Error: basic credential not found"],
    ),
    (
        &registry::WRONG_CREDENTIALS,
        2010,
        &[
            "unexpected status from HEAD request to https://r.test:1/v2/a/manifests/1: 401 Unauthorized",
            "pull access denied, repository does not exist or may require authorization: authorization failed",
            r#"Get "https://r.test/v2/": unauthorized: incorrect username or password"#,
        ],
    ),
    (
        &registry::ACCESS_DENIED,
        2011,
        &["pull access denied for a/b, repository does not exist or may require 'docker login'"],
    ),
    (
        &registry::ABSENT,
        2012,
        &[
            r#"failed to resolve reference "r.test/a:1": r.test/a:1: not found"#,
            "manifest unknown: manifest unknown",
            "MANIFEST_UNKNOWN: manifest unknown; map[Tag:1]",
            "NAME_UNKNOWN: repository name not known to registry",
        ],
    ),
    (
        &kubernetes::NO_NAMESPACE,
        3001,
        &[r#"NotFound: namespaces "team" not found"#],
    ),
    (
        &kubernetes::NOT_YET_ALLOWED,
        3002,
        &[
            r#"configmaps is forbidden: User "kubernetes-admin" cannot create resource "configmaps" in API group "" in the namespace "default""#,
        ],
    ),
    (
        &kubernetes::NO_PORT_HERE,
        3003,
        &[
            "ERROR: failed to create cluster: failed to get random host port for port mapping: listen tcp 10.213.0.2:0: bind: cannot assign requested address",
        ],
    ),
    (
        &machine::FULL_DISK,
        4001,
        &[
            "write /var/lib/docker/x: no space left on device",
            "No space left on device (os error 28)",
            "mkdir /var/lib/registry/docker: no space left on device",
        ],
    ),
    (
        &machine::MOUNTED_FILE,
        4002,
        &[
            "mv: cannot move 'kubelet/config.json.new' to 'kubelet/config.json': Device or resource busy",
            "unlinkat /var/lib/kubelet/config.json: device or resource busy",
            "mounted volume is marked read-only",
            "sh: 1: cannot create kubelet/config.json.new: Read-only file system",
        ],
    ),
    (
        &machine::NOTHING_STORED,
        4003,
        &["credentials not found in native keychain"],
    ),
];

#[test]
fn every_symptom_is_found_by_its_own_words_first() {
    for (symptom, number, texts) in EXAMPLES {
        assert_eq!(symptom.code, Code(*number), "a code never changes");
        assert!(!texts.is_empty(), "{}", symptom.code);
        for text in *texts {
            let found = find(text).map(|found| found.code.to_string());
            assert_eq!(found, Some(symptom.code.to_string()), "{text}");
        }
    }
}

#[test]
fn words_that_only_look_like_a_symptom_are_none() {
    for text in [
        "POST /api/v1/namespaces/default/pods: Forbidden: exceeded quota",
        "docker-credential-pass: pass store is uninitialized",
    ] {
        assert!(find(text).is_none(), "{text}");
    }
}

#[test]
fn every_entry_has_an_example_and_is_complete() {
    let shown: BTreeSet<Code> = EXAMPLES.iter().map(|(symptom, ..)| symptom.code).collect();
    let codes: BTreeSet<Code> = ALL.into_iter().map(|symptom| symptom.code).collect();
    assert_eq!(codes.len(), ALL.len(), "no code is given twice");
    assert_eq!(shown, codes);
    assert_eq!(EXAMPLES.len(), ALL.len());
    for symptom in ALL {
        let code = symptom.code;
        assert!(symptom.source.starts_with("https://"), "{code}");
        for text in [symptom.cause, symptom.fix] {
            assert!(!text.is_empty() && text.trim() == text, "{code}");
            assert!(!text.ends_with('.') && !text.contains("  "), "{code}");
        }
        assert!(!symptom.is_in("") && !symptom.is_in("boom"), "{code}");
    }
}

#[test]
fn a_code_tells_who_says_it() {
    for (symptom, code, origin) in [
        (&engine::PORT_TAKEN, "KR0001", Origin::Engine),
        (&node::UNTRUSTED, "KR1001", Origin::Node),
        (&registry::FORBIDDEN, "KR2007", Origin::Registry),
        (&kubernetes::NO_NAMESPACE, "KR3001", Origin::Kubernetes),
        (&machine::FULL_DISK, "KR4001", Origin::Machine),
    ] {
        assert_eq!(symptom.code.to_string(), code);
        assert_eq!(symptom.code.origin(), origin);
    }
}
