//! The whole walk on three nodes: from nothing to pods that pull over verified TLS, and back to nothing.

use std::fs;
use std::path::Path;

use kindreg::internal::oci::proof::proof_image;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Call, Kubeconfig, OTHER, Scene, attempt, docker, kubectl, kubectl_apply, nodes, run_with,
    scratch, sh,
};
use crate::{certificates, quiet};

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn up_proves_every_node_and_down_leaves_the_machine_as_it_was() {
    let scene = Scene::new("e2e-walk", 5901, Kubeconfig::Other);
    let files = Kubeconfigs::new();
    files
        .at("p", scene.up(&["--workers", "2"]))
        .run()
        .exits(0)
        .prints(
            "Ready: 3 nodes of cluster e2e-walk pulled from registry.test:5901 over verified TLS",
        );
    assert_eq!(files.current(), "kind-e2e-walk");
    scene.has_nodes(3);
    every_node_notes_its_proof(&scene);
    the_proof_leaves_no_image(&scene);
    an_image_of_the_users_own_runs(&scene);
    the_cluster_says_where_its_registry_is(&scene);
    quiet::a_second_up_only_reads(&scene);
    the_engine_verifies_localhost_if_it_can(&scene);
    certificates::openssl_agrees(&scene);
    certificates::the_key_of_the_ca_is_nowhere(&scene);
    certificates::nothing_skips_verification(&scene);
    nodes_hold_what_no_reader_wants(&scene);
    files
        .at("q", scene.down())
        .run()
        .exits(0)
        .prints("Removed: cluster e2e-walk");
    assert_eq!(files.current(), "mine");
    assert_eq!(
        fs::read_dir(files.folder.path().join("q")).unwrap().count(),
        0
    );
    scene.is_as_before();
}

/// Docker 29 of the bed has the containerd image store, which obeys our hosts.toml; Docker 20.10 verifies nothing there.
#[track_caller]
fn the_engine_verifies_localhost_if_it_can(scene: &Scene) {
    let verified = scene
        .call(&["verify", "--name", scene.cluster, "--json"])
        .run()
        .exits(0);
    let report: Value = serde_json::from_str(&verified.stdout).unwrap();
    let obeys_us = std::env::var("KINDREG_E2E_ENGINE").unwrap() == "29";
    let why = report["hostWhy"].as_str().unwrap_or_default();
    assert_eq!(
        report["host"],
        if obeys_us { "proven" } else { "not proven" },
        "{why}"
    );
    assert_eq!(
        why.contains("does not verify TLS on loopback"),
        !obeys_us,
        "{why}"
    );
    if !obeys_us {
        return;
    }
    let folder = Path::new("/etc/docker/certs.d").join(scene.local_domain());
    let ca = folder.join(format!("kindreg-{}.crt", scene.cluster));
    let (own, other) = (fs::read(&ca).unwrap(), scratch());
    let file = other.path().join("ca.pem").display().to_string();
    let make = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=other",
        "-keyout",
        "/dev/null",
    ];
    attempt("openssl", &[&make[..], &["-out", &file]].concat()).good();
    fs::copy(&file, &ca).unwrap();
    let image = format!("{}/e2e/refused:1", scene.local_domain());
    docker(&[
        "tag",
        &std::env::var("KINDREG_REGISTRY_IMAGE").unwrap(),
        &image,
    ]);
    let pushed = attempt("docker", &["push", &image]);
    docker(&["image", "rm", &image]);
    fs::write(&ca, own).unwrap();
    assert!(
        !pushed.ok && pushed.all().contains("unknown authority"),
        "{}",
        pushed.all()
    );
}

/// Several kubeconfig files by relative paths. The first is a link and has the current context, which the second defines.
struct Kubeconfigs {
    folder: TempDir,
}

impl Kubeconfigs {
    fn new() -> Self {
        let folder = scratch();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("p/conf")).unwrap();
        fs::create_dir(at("q")).unwrap();
        let first = "apiVersion: v1\nkind: Config\ncurrent-context: mine\n";
        fs::write(at("first"), first).unwrap();
        std::os::unix::fs::symlink("../../first", at("p/conf/a")).unwrap();
        fs::write(at("p/conf/b"), OTHER.replace("other-context", "mine")).unwrap();
        Self { folder }
    }

    /// A call in a folder below, for which the files have the same names.
    fn at(&self, folder: &str, call: Call) -> Call {
        let call = call.within(&self.folder.path().join(folder));
        call.env("KUBECONFIG", "conf/a:conf/b:conf/c")
    }

    /// The current context of the first file.
    fn current(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("p/conf/a")).unwrap();
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix("current-context: "));
        line.unwrap_or_default().to_owned()
    }
}

/// From here on nodes are hostile: 700 MB, a device, a name that is no UTF-8 and loops of links, in every folder that
/// kindreg reads. `down` gives everything back all the same.
#[track_caller]
fn nodes_hold_what_no_reader_wants(scene: &Scene) {
    let [plane, worker, other] = nodes(scene.cluster).try_into().unwrap();
    sh(
        &worker,
        "cd /etc/containerd; truncate -s 700M a; mknod null c 1 3; ln -s loop loop; touch \"$(printf '\\377\\376')\"",
    );
    sh(&other, "cd /var/lib; rm -rf kindreg; ln -s kindreg kindreg");
    sh(
        &plane,
        "cd /var/lib/kubelet; rm config.json; mkdir config.json; cd /etc/containerd; mv certs.d x; ln -s certs.d certs.d",
    );
    scene
        .call(&["status", "--name", scene.cluster])
        .run()
        .exits(1)
        .says("can't read");
}

#[track_caller]
fn every_node_notes_its_proof(scene: &Scene) {
    let notes: Vec<String> = nodes(scene.cluster)
        .iter()
        .map(|node| sh(node, "cat /var/lib/kindreg/proof/registry"))
        .collect();
    assert_eq!(notes[0].len(), 64, "{notes:?}");
    assert!(notes.iter().all(|note| *note == notes[0]), "{notes:?}");
}

/// Neither the engine nor the registry keeps what only the proof needed.
#[track_caller]
fn the_proof_leaves_no_image(scene: &Scene) {
    let images = docker(&["image", "ls", "-a", "--format", "{{.Repository}}"]);
    assert!(!images.contains(&scene.local_domain()), "{images}");
    let pods = kubectl(
        scene.cluster,
        &["get", "pods", "-A", "-l", "dev.kindreg.pod", "-o", "name"],
    );
    assert_eq!(pods, "");
    let tags = from_registry(scene, "kindreg/proof/tags/list");
    assert!(tags["tags"].as_array().is_none_or(Vec::is_empty), "{tags}");
}

/// What the registry's API says, asked by curl in a node, with the node's CA and name resolution.
#[track_caller]
pub(crate) fn from_registry(scene: &Scene, path: &str) -> Value {
    let domain = scene.domain();
    let node = format!("{}-control-plane", scene.cluster);
    let ca = format!("/etc/containerd/certs.d/{domain}/ca.crt");
    let said = sh(
        &node,
        &format!(
            "curl -sS -u '{}' --cacert {ca} https://{domain}/v2/{path}",
            scene.user()
        ),
    );
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// An image that the test made and pushed with docker runs on every node, by both its names.
#[track_caller]
pub(crate) fn an_image_of_the_users_own_runs(scene: &Scene) {
    let repository = "e2e/app";
    let pushed = format!("{}/{repository}:1", scene.local_domain());
    let architecture = docker(&["info", "--format", "{{.Architecture}}"]);
    let nonce = format!("{} {:?}", scene.cluster, std::time::SystemTime::now());
    let image = proof_image(
        architecture.trim().parse().unwrap(),
        &pushed,
        nonce.as_bytes(),
    );
    run_with("docker", &["load"], &image.unwrap().archive).good();
    let settings = scene.login();
    docker(&[&settings, "push", &pushed]);
    docker(&["image", "rm", &pushed]);

    let names: Vec<String> = nodes(scene.cluster);
    let mut pods = Vec::new();
    for node in &names {
        for (name, domain) in [
            ("canonical", scene.domain()),
            ("local", scene.local_domain()),
        ] {
            pods.push(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": format!("{name}-{node}"), "namespace": "default", "labels": {"e2e": "app"}},
                "spec": {"nodeName": node, "restartPolicy": "Never", "containers": [
                    {"name": "app", "image": format!("{domain}/{repository}:1"), "imagePullPolicy": "Always"}]},
            }));
        }
    }
    // Pods take the default service account, which comes a moment after the cluster.
    kubectl(
        scene.cluster,
        &[
            "wait",
            "--for=create",
            "--timeout=60s",
            "serviceaccount/default",
        ],
    );
    let list = json!({"apiVersion": "v1", "kind": "List", "items": pods});
    kubectl_apply(scene.cluster, &list.to_string());
    let done = "--for=jsonpath={.status.phase}=Succeeded";
    kubectl(
        scene.cluster,
        &["wait", done, "--timeout=120s", "pod", "-l", "e2e=app"],
    );
    let said = kubectl(scene.cluster, &["logs", "-l", "e2e=app", "--tail=-1"]);
    let greetings = said
        .matches(kindreg::internal::oci::proof::GREETING)
        .count();
    assert_eq!(greetings, 2 * names.len(), "{said}");
    kubectl(
        scene.cluster,
        &["delete", "pod", "-l", "e2e=app", "--wait=true"],
    );
}

/// KEP-1755.
#[track_caller]
fn the_cluster_says_where_its_registry_is(scene: &Scene) {
    let data = "-o=jsonpath={.data}";
    let said = kubectl(
        scene.cluster,
        &[
            "get",
            "configmap",
            "-n",
            "kube-public",
            "local-registry-hosting",
            data,
        ],
    );
    let data: Value = serde_json::from_str(&said).unwrap();
    let text = data["localRegistryHosting.v1"].as_str().unwrap();
    let hosting: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    assert_eq!(hosting["host"], scene.local_domain().as_str());
    assert_eq!(hosting["hostFromContainerRuntime"], scene.domain().as_str());
    assert_eq!(hosting["hostFromClusterNetwork"], scene.domain().as_str());
    assert!(
        hosting["help"].as_str().unwrap().starts_with("https://"),
        "{text}"
    );
}
