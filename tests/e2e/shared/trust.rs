//! The trust is real: a node without the right CA is refused, in its own words, and `up` repairs it.

use kindreg::internal::pki::{Names, issue};
use time::OffsetDateTime;

use crate::support::{
    Scene, Shared, Stranger, attempt, docker, exec, kubectl, nodes, scratch, sh, write_in,
};
use crate::walk;

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn what_breaks_is_told_by_the_node_and_repaired_by_up() {
    let scene = Shared::cluster();
    let [control_plane, one, two] = nodes(scene.cluster).try_into().unwrap();
    let certs = format!("/etc/containerd/certs.d/{}", scene.domain());

    let other = issue("other", &names("registry.test"), OffsetDateTime::now_utc()).unwrap();
    write_in(&two, &format!("{certs}/ca.crt"), &other.ca_pem);
    is_refused(
        &scene,
        &two,
        "x509: certificate signed by unknown authority",
    );
    is_repaired(&scene, &format!("registry.test:5900/ca.crt on {two}"));

    sh(&one, "rm -r /etc/containerd/certs.d/*");
    is_refused(
        &scene,
        &one,
        "x509: certificate signed by unknown authority",
    );
    is_repaired(&scene, &format!("missing on {one}"));

    exec(&control_plane, &["rm", &format!("{certs}/ca.crt")]);
    is_refused(&scene, &control_plane, "unable to read CA cert");
    is_repaired(
        &scene,
        &format!("registry.test:5900/ca.crt on {control_plane}"),
    );

    // Of all that, nothing is left that the proof of a single `up` would not show.
    scene.verify().run().exits(0).prints("proven");

    certificates_for_others_are_refused(&scene);
    settings_that_are_not_kindreg_s_prove_nothing(&scene);

    let hosting = ["configmap", "-n", "kube-public", "local-registry-hosting"];
    kubectl(scene.cluster, &[&["delete"], &hosting[..]].concat());
    scene
        .up(&["--workers", "2"])
        .run()
        .exits(0)
        .says("ConfigMap local-registry-hosting");
    kubectl(scene.cluster, &[&["get"], &hosting[..]].concat());

    a_stopped_registry_keeps_its_data(&scene);
}

fn names(host: &str) -> Names {
    let addresses = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    Names::new([host, "localhost"], addresses)
}

/// `verify` names this node alone, with its own words.
#[track_caller]
fn is_refused(scene: &Scene, node: &str, words: &str) {
    let verify = scene
        .verify()
        .run()
        .exits(3)
        .says("1 of 3 nodes can't pull")
        .says(&format!("{node}: "))
        .says(words)
        .says(&format!("kindreg up --name {}", scene.cluster));
    for other in nodes(scene.cluster).iter().filter(|other| *other != node) {
        // Node names are followed by a colon where they fail.
        assert!(!verify.stderr.contains(&format!("{other}: ")), "{verify}");
    }
    println!("   refused: {words} ({:.1} s)", verify.took.as_secs_f64());
}

/// `up` says what drifted, and repairs it.
#[track_caller]
fn is_repaired(scene: &Scene, drift: &str) {
    let up = scene
        .up(&["--workers", "2"])
        .run()
        .exits(0)
        .says(drift)
        .prints("Ready: 3 nodes");
    println!("   repaired: {drift} ({:.1} s)", up.took.as_secs_f64());
}

/// Nodes that pull because they verify nothing are named, whatever containerd reads to get there.
#[track_caller]
fn settings_that_are_not_kindreg_s_prove_nothing(scene: &Scene) {
    let [_, one, two] = nodes(scene.cluster).try_into().unwrap();
    let certs = format!("/etc/containerd/certs.d/{}", scene.domain());
    let insecure = "skip_verify = true";

    let other = issue("other", &names("registry.test"), OffsetDateTime::now_utc()).unwrap();
    write_in(&two, &format!("{certs}/ca.crt"), &other.ca_pem);
    let script = format!("sed -i -e '/^server/i {insecure}' -e '$a {insecure}' {certs}/hosts.toml");
    sh(&two, &script);
    is_unverified(scene, &two, "registry.test:5900/hosts.toml");
    is_repaired(
        scene,
        &format!("registry.test:5900/ca.crt, registry.test:5900/hosts.toml on {two}"),
    );

    // Even empty, it is the one that containerd uses.
    let before = "/etc/containerd/certs.d/registry.test_5900_";
    exec(&one, &["mkdir", before]);
    is_refused(scene, &one, "x509: certificate signed by unknown authority");
    let hosts = format!("server = \"https://registry.test:5900\"\n{insecure}\n");
    let hosts = format!("{hosts}[host.\"https://registry.test:5900\"]\n{insecure}\n");
    write_in(&one, &format!("{before}/hosts.toml"), &hosts);
    let words = "registry.test_5900_ is read before registry.test:5900";
    is_unverified(scene, &one, words);
    let status = scene.call(&["status", "--name", scene.cluster]).run();
    status.exits(3).prints(&format!("{words} on {one}"));
    let up = scene.up(&["--workers", "2"]).run().exits(4).says(words);
    let hint = format!("docker exec {one} rm -r {before}");
    up.says(&hint);
    exec(&one, &["rm", "-r", before]);
    scene.up(&["--workers", "2"]).run().exits(0);

    // containerd reads its configuration when it starts, so the file says nothing about what it runs with.
    sh(&one, "touch /etc/containerd/config.toml");
    let words = "/etc/containerd/config.toml was changed after containerd had started";
    is_unverified(scene, &one, words);
    sh(&one, "systemctl restart containerd");
    scene.verify().run().exits(0).prints("proven");

    // `_default` is for registries without a folder.
    let default = "/etc/containerd/certs.d/_default";
    exec(&one, &["mkdir", default]);
    write_in(&one, &format!("{default}/hosts.toml"), &hosts);
    scene.is_strictly_proven();
    exec(&one, &["rm", "-r", default]);
    two_proofs_at_once_do_not_disturb_each_other(scene);
    let left = sh(&one, "ls /etc/containerd/certs.d");
    assert_eq!(left.trim(), "localhost:5900\nregistry.test:5900");
}

/// The second waits for the first: they would remove each other's image and pods.
#[track_caller]
fn two_proofs_at_once_do_not_disturb_each_other(scene: &Scene) {
    let [one, two] = [(); 2].map(|()| scene.verify().args(&["--strict"]).start());
    let said = [one, two].map(|verify| verify.end().exits(0).stderr);
    let waited = said
        .iter()
        .filter(|said| said.contains("waiting for another kindreg"));
    assert_eq!(waited.count(), 1, "{said:?}");
}

/// The node pulls, and `verify` does not call it proven for that, strict or not.
#[track_caller]
fn is_unverified(scene: &Scene, node: &str, words: &str) {
    for strict in [&[][..], &["--strict"]] {
        let verify = scene.verify().args(strict).run().exits(3);
        let told = format!("unverified  {node} pulls from registry.test:5900");
        let verify = verify.prints(&told).prints(words);
        println!(
            "   unverified: {words} ({:.1} s)",
            verify.took.as_secs_f64()
        );
    }
}

/// A registry that shows a certificate for another name, or one by a CA that may not speak for it.
#[track_caller]
fn certificates_for_others_are_refused(scene: &Scene) {
    let other = issue("other", &names("other.test"), OffsetDateTime::now_utc()).unwrap();
    let key = secrecy::ExposeSecret::expose_secret(&other.key).to_owned();
    show(scene, &other.ca_pem, &other.leaf_pem, &key);
    all_are_refused(
        scene,
        &["x509: certificate is valid for other.test, localhost, not registry.test"],
    );

    let (ca, leaf, key) = overreaching();
    show(scene, &ca, &leaf, &key);
    // The second are the words of an engine that verifies localhost.
    let words = [
        "is not permitted by any constraint",
        "x509: certificate is valid for registry.test, not localhost",
    ];
    all_are_refused(scene, &words);

    // What the registry shows is not what its volume had: `up` makes it anew, and all nodes get the new CA.
    let up = scene
        .up(&["--workers", "2"])
        .run()
        .exits(0)
        .says("certificate of registry.test:5900")
        .prints("Ready: 3 nodes");
    println!(
        "   repaired: the certificate ({:.1} s)",
        up.took.as_secs_f64()
    );
    scene.verify().run().exits(0);
}

#[track_caller]
fn all_are_refused(scene: &Scene, words: &[&str]) {
    let verify = scene.verify().run().exits(3);
    let said = words.iter().find(|words| verify.stderr.contains(**words));
    let words = said.unwrap_or_else(|| panic!("none of {words:?}: {verify}"));
    // An engine that verifies localhost refuses such a certificate before any node sees it.
    let refused = ["3 of 3 nodes can't pull", "can't push image localhost:5900"];
    assert!(
        refused.iter().any(|by| verify.stderr.contains(by)),
        "{verify}"
    );
    println!("   refused: {words} ({:.1} s)", verify.took.as_secs_f64());
}

/// The registry shows this leaf, and all nodes trust this CA.
#[track_caller]
fn show(scene: &Scene, ca: &str, leaf: &str, key: &str) {
    let folder = scratch();
    // The engine's host too, so that what it is asked to push arrives where the certificate is valid for localhost.
    let host = format!(
        "/etc/docker/certs.d/{}/kindreg-{}.crt",
        scene.local_domain(),
        scene.cluster
    );
    std::fs::write(host, ca).unwrap();
    let registry = scene.registry();
    for (file, content) in [("tls.crt", leaf), ("tls.key", key)] {
        let path = folder.path().join(file);
        std::fs::write(&path, content).unwrap();
        docker(&[
            "cp",
            path.to_str().unwrap(),
            &format!("{registry}:/kindreg/secret/{file}"),
        ]);
    }
    docker(&["restart", "-t", "2", &registry]);
    for node in nodes(scene.cluster) {
        let path = format!("/etc/containerd/certs.d/{}/ca.crt", scene.domain());
        write_in(&node, &path, ca);
    }
}

/// A CA for `other.test` alone, made by openssl, and a leaf for our registry that it signed all the same.
#[track_caller]
fn overreaching() -> (String, String, String) {
    let folder = scratch();
    let script = "set -e; cd \"$0\"
key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
openssl req -x509 $key -keyout ca.key -out ca.crt -subj '/CN=greedy CA' -days 9 \
  -addext basicConstraints=critical,CA:true -addext 'nameConstraints=critical,permitted;DNS:other.test'
openssl req $key -keyout tls.key -out tls.csr -subj '/CN=registry'
printf 'subjectAltName=DNS:registry.test\\nextendedKeyUsage=serverAuth\\n' >tls.ext
openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 9 -extfile tls.ext -out tls.crt";
    attempt("sh", &["-c", script, folder.path().to_str().unwrap()]).good();
    let [ca, leaf, key] = ["ca.crt", "tls.crt", "tls.key"]
        .map(|file| std::fs::read_to_string(folder.path().join(file)).unwrap());
    (ca, leaf, key)
}

#[track_caller]
fn a_stopped_registry_keeps_its_data(scene: &Scene) {
    walk::an_image_of_the_users_own_runs(scene);
    docker(&["stop", "-t", "2", &scene.registry()]);
    scene
        .verify()
        .run()
        .exits(3)
        .says("curl: (7)")
        .says("hint: run: kindreg up --name e2e-shared");
    another_program_at_its_port_gets_no_password(scene);
    scene
        .up(&["--workers", "2"])
        .run()
        .exits(0)
        .says("exited with code");
    let tags = walk::from_registry(scene, "e2e/app/tags/list");
    assert_eq!(
        tags["tags"],
        serde_json::json!(["1"]),
        "the registry forgot an image"
    );
    scene.verify().run().exits(0);
}

/// A TLS server of somebody else's at the registry's port, which asks for a password.
#[track_caller]
fn another_program_at_its_port_gets_no_password(scene: &Scene) {
    let identity = issue("other", &names("localhost"), OffsetDateTime::now_utc()).unwrap();
    let stranger = Stranger::start(scene.port, &identity);
    scene
        .verify()
        .run()
        .exits(3)
        .says("localhost:5900 on the engine's host is not registry registry")
        .says("curl: (90)");
    assert_eq!(stranger.end(), Vec::<String>::new(), "what it was sent");
}
