//! What openssl, which is not kindreg's own judge, says of the registry's certificates; and where the keys are.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{Said, Scene, attempt, docker, nodes, scratch, sh};

/// The files of the registry's secret volume, copied into a folder.
#[track_caller]
fn secret(scene: &Scene, folder: &Path) {
    let from = format!("{}:/kindreg/secret/.", scene.registry());
    docker(&["cp", &from, folder.to_str().unwrap()]);
}

#[track_caller]
fn openssl(folder: &Path, arguments: &str) -> Said {
    let script = format!(
        "cd '{}' && exec openssl {arguments} </dev/null",
        folder.display()
    );
    attempt("sh", &["-c", &script])
}

/// Chain, SANs, name constraints, and what the registry really shows.
#[track_caller]
pub(crate) fn openssl_agrees(scene: &Scene) {
    let folder = scratch();
    let folder = folder.path();
    secret(scene, folder);
    let verify = openssl(
        folder,
        "verify -x509_strict -purpose sslserver -CAfile ca.crt tls.crt",
    )
    .good();
    assert!(verify.contains("tls.crt: OK"), "{verify}");

    let container = scene.registry();
    let sans = openssl(folder, "x509 -in tls.crt -noout -ext subjectAltName").good();
    let (names, addresses) = (
        ["registry.test", "localhost", container.as_str()],
        ["127.0.0.1", "0:0:0:0:0:0:0:1"],
    );
    for name in names {
        assert!(sans.contains(&format!("DNS:{name}")), "{name}: {sans}");
    }
    for address in addresses {
        assert!(
            sans.contains(&format!("IP Address:{address}")),
            "{address}: {sans}"
        );
    }

    let constraints = openssl(folder, "x509 -in ca.crt -noout -ext nameConstraints").good();
    assert!(
        constraints.contains("X509v3 Name Constraints: critical"),
        "{constraints}"
    );
    for name in names {
        assert!(
            constraints.contains(&format!("DNS:{name}")),
            "{name}: {constraints}"
        );
    }
    for address in [
        "127.0.0.1/255.255.255.255",
        "0:0:0:0:0:0:0:1/FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF",
    ] {
        assert!(
            constraints.contains(&format!("IP:{address}")),
            "{address}: {constraints}"
        );
    }
    let parts = constraints.matches("DNS:").count() + constraints.matches("IP:").count();
    assert_eq!(parts, 5, "it may speak for more: {constraints}");

    let connect = format!(
        "s_client -connect 127.0.0.1:{} -servername registry.test -verify_return_error -CAfile ca.crt",
        scene.port
    );
    for good in [
        "-verify_hostname registry.test",
        "-verify_hostname localhost",
        "-verify_ip 127.0.0.1",
    ] {
        let said = openssl(folder, &format!("{connect} {good}"));
        let all = said.all();
        assert!(
            said.ok && all.contains("Verify return code: 0 (ok)"),
            "{good}: {all}"
        );
    }
    for (wrong, words) in [
        ("-verify_hostname other.test", "hostname mismatch"),
        ("-verify_hostname a.registry.test", "hostname mismatch"),
        ("-verify_ip 127.0.0.2", "IP address mismatch"),
    ] {
        let said = openssl(folder, &format!("{connect} {wrong}"));
        let all = said.all();
        assert!(!said.ok && all.contains(words), "{wrong}: {all}");
    }
    // And by a CA of its own it is not trusted.
    let system = openssl(
        folder,
        &connect.replace("-CAfile ca.crt", "-verify_hostname registry.test"),
    );
    assert!(
        !system.ok,
        "the system trusts the registry: {}",
        system.all()
    );
}

/// One private key, the leaf's, in one place.
#[track_caller]
pub(crate) fn the_key_of_the_ca_is_nowhere(scene: &Scene) {
    let folder = scratch();
    let folder = folder.path();
    secret(scene, folder);
    let files: BTreeMap<String, String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let content = std::fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), content)
        })
        .collect();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let credentials = ["credentials.json", "htpasswd"];
    assert_eq!(
        names,
        [
            "ca.crt",
            credentials[0],
            credentials[1],
            "record.json",
            "tls.crt",
            "tls.key"
        ]
    );
    let keys: Vec<(&str, usize)> = files
        .iter()
        .filter(|(name, _)| !credentials.contains(&name.as_str()))
        .map(|(name, content)| {
            (
                name.as_str(),
                content.matches("PRIVATE KEY-----").count() / 2,
            )
        })
        .collect();
    let copy = ("record.json", 0);
    assert_eq!(keys, [("ca.crt", 0), copy, ("tls.crt", 0), ("tls.key", 1)]);
    let public = |arguments| openssl(folder, arguments).good();
    let key = public("pkey -in tls.key -pubout");
    assert_eq!(key, public("x509 -in tls.crt -noout -pubkey"));
    assert_ne!(key, public("x509 -in ca.crt -noout -pubkey"));

    // The mode as the registry itself sees it; its image has no `stat`.
    let listed = docker(&[
        "cp",
        &format!("{}:/kindreg/secret/tls.key", scene.registry()),
        "-",
    ]);
    // A tar header: name, then mode as octal text at offset 100; old engines add the kind of file.
    let mode = listed.get(100..107).unwrap();
    let mode = u32::from_str_radix(mode, 8).unwrap() & 0o7777;
    assert_eq!(mode, 0o600, "the key's mode");

    let places = "/etc/containerd /var/lib/kindreg /usr/local/share/ca-certificates";
    for node in nodes(scene.cluster) {
        let found = sh(&node, &format!("grep -rl 'PRIVATE KEY' {places} || true"));
        assert_eq!(found, "", "on {node}");
    }
    let home = scene.home().join("run").display().to_string();
    let host = attempt(
        "grep",
        &[
            "-rl",
            "PRIVATE KEY",
            scene.host_certs().to_str().unwrap(),
            &home,
        ],
    );
    assert_eq!(host.all(), "", "on the engine's host");
    let record = format!("kindreg-{}:/kindreg", scene.cluster);
    assert!(
        !docker(&["cp", &record, "-"]).contains("PRIVATE KEY"),
        "in the record"
    );
}

/// No configuration anywhere turns verification off.
#[track_caller]
pub(crate) fn nothing_skips_verification(scene: &Scene) {
    for node in nodes(scene.cluster) {
        let script =
            "grep -rIil 'skip_verify\\|insecure_skip\\|plain-http' /etc /var/lib/kindreg || true";
        assert_eq!(sh(&node, script), "", "on {node}");
        let form = sh(
            &node,
            &format!(
                "cat '/etc/containerd/certs.d/{}/hosts.toml'",
                scene.domain()
            ),
        );
        assert!(!form.contains("http://"), "on {node}: {form}");
    }
    let host = attempt("grep", &["-rIil", "skip_verify\\|insecure", "/etc/docker"]);
    assert_eq!(host.stdout, "", "on the engine's host");
}
