//! The user's own certificate, below a root and an intermediate that openssl made: served as it is, trusted by all
//! nodes, replaced, and removed again.

use std::fs;
use std::path::Path;

use crate::support::{Scene, Shared, attempt, nodes, scratch, sh};

const FILE: &str = r#"
[cluster]
workers = 2
[registry.registry]
host = "registry.test"
tls = { cert = "tls.crt", key = "tls.key", ca = "root.crt" }
"#;
const GENERATED: &str = "[cluster]\nworkers = 2\n[registry.registry]\nhost = \"registry.test\"\n";

/// Runs a script with openssl in a folder.
#[track_caller]
fn openssl(folder: &Path, script: &str) {
    let new = "new='-nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256'";
    let script = format!("set -e; cd \"$0\"; {new}\n{script}");
    attempt("sh", &["-c", &script, folder.to_str().unwrap()]).good();
}

/// A root, and an intermediate that it signed.
const AUTHORITIES: &str = "ca='-days 9 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign'
openssl req -x509 $new -keyout root.key -out root.crt -subj '/CN=e2e root' $ca
openssl req -x509 $new -keyout middle.key -out middle.crt -subj '/CN=e2e intermediate' -CA root.crt -CAkey root.key $ca";
/// A certificate of that intermediate, with an RSA key in the form of PKCS#1; the file is in the wrong order.
const LEAF: &str = "openssl req -x509 -nodes -newkey rsa:2048 -keyout new.key -out leaf.crt -subj /CN=registry -days 9 \
-CA middle.crt -CAkey middle.key -addext basicConstraints=critical,CA:FALSE \
-addext subjectAltName=DNS:registry.test,DNS:localhost
openssl rsa -traditional -in new.key -out tls.key
cat middle.crt leaf.crt >tls.crt";
/// A certificate that signed itself, and does not cover localhost.
const OWN: &str = "openssl req -x509 $new -keyout tls.key -out tls.crt -subj /CN=registry -days 9 \
-addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:registry.test
cp tls.crt root.crt";

/// The registry presents exactly these certificates, and openssl and curl verify them with that root.
#[track_caller]
fn serves(scene: &Scene, folder: &Path, chain: &[&str]) {
    let root = folder.join("root.crt");
    let root = root.to_str().unwrap();
    let port = scene.port;
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} -servername registry.test -verify_hostname registry.test \
         -verify_return_error -showcerts -CAfile '{root}' </dev/null"
    );
    let said = attempt("sh", &["-c", &script]).good();
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    assert_eq!(
        said.matches("-----BEGIN CERTIFICATE-----").count(),
        chain.len(),
        "{said}"
    );
    let mut rest = said.as_str();
    for file in chain {
        let pem = fs::read_to_string(folder.join(file)).unwrap();
        let at = rest
            .find(pem.trim())
            .unwrap_or_else(|| panic!("{file} is not next in {rest}"));
        rest = &rest[at..];
    }
    let curl = format!(
        "curl -sS -o /dev/null -w '%{{http_code}}' --noproxy '*' --cacert '{root}' \
         --resolve registry.test:{port}:127.0.0.1 https://registry.test:{port}/v2/"
    );
    assert_eq!(attempt("sh", &["-c", &curl]).good(), "401");
    for node in nodes(scene.cluster) {
        for domain in ["registry.test", "localhost"] {
            let found = sh(
                &node,
                &format!("cat /etc/containerd/certs.d/{domain}:{port}/ca.crt"),
            );
            assert_eq!(
                found,
                fs::read_to_string(root).unwrap(),
                "{domain} on {node}"
            );
        }
    }
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn the_users_certificate_is_proven_replaced_and_removed_again() {
    let scene = Shared::cluster();
    let folder = scratch();
    let folder = folder.path();
    let file = folder.join("kindreg.toml");
    let up = || scene.up(&["--config", file.to_str().unwrap()]);
    openssl(folder, AUTHORITIES);
    openssl(folder, LEAF);
    fs::write(&file, FILE).unwrap();

    let first = up().run().exits(0).prints("Ready: 3 nodes");
    println!(
        "   the user's certificate ({:.1} s)",
        first.took.as_secs_f64()
    );
    serves(&scene, folder, &["leaf.crt", "middle.crt"]);
    scene.is_strictly_proven();
    up().run().exits(0).prints("Nothing to do");
    scene
        .up(&["--workers", "2"])
        .run()
        .exits(0)
        .prints("Nothing to do");

    // A new certificate of the same CA.
    openssl(folder, LEAF);
    let status = scene.call(&["status", "--name", scene.cluster, "--config"]);
    status
        .args(&[file.to_str().unwrap()])
        .run()
        .exits(3)
        .prints("another certificate");
    let second = up().run().exits(0).prints("Ready: 3 nodes");
    println!("   another one ({:.1} s)", second.took.as_secs_f64());
    serves(&scene, folder, &["leaf.crt", "middle.crt"]);

    // Without a CA above it, and one that docker can't verify on localhost.
    openssl(folder, OWN);
    up().run()
        .exits(0)
        .prints("Ready: 3 nodes")
        .says("does not cover localhost");
    serves(&scene, folder, &["tls.crt"]);
    up().run().exits(0).prints("Nothing to do");

    fs::write(&file, GENERATED).unwrap();
    up().run().exits(0).prints("Ready: 3 nodes");
    let root = fs::read_to_string(folder.join("root.crt")).unwrap();
    for node in nodes(scene.cluster) {
        let found = sh(&node, "cat /etc/containerd/certs.d/*/ca.crt");
        assert!(!found.contains(root.trim()), "{node}");
    }
    scene.verify().run().exits(0);
}
