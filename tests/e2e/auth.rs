//! Passwords on the real thing: who can pull and who can't, and what sees the password.

use std::fs;

use kindreg::internal::oci::proof::proof_image;

use crate::canary::Canary;
use crate::support::{
    Kubeconfig, Pod, Scene, attempt, docker, kubectl, kubectl_apply, run_with, scratch, sh,
};

/// What [`push`] brings into the registry.
pub(crate) const IMAGE: &str = "e2e/app:1";

fn pod<'a>(
    scene: &Scene,
    namespace: &'a str,
    account: &'a str,
    node: &'a str,
    nth: u32,
) -> Pod<'a> {
    let domain = if nth.is_multiple_of(2) {
        scene.domain()
    } else {
        scene.local_domain()
    };
    Pod {
        namespace,
        name: format!("{account}-{node}-{nth}"),
        account,
        node,
        image: format!("{domain}/{IMAGE}"),
    }
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn who_has_the_password_pulls_and_nobody_else_sees_it() {
    let scene = Scene::new("e2e-auth", 5703, Kubeconfig::Absent);
    let canary = Canary::new();
    let folder = scratch();
    let file = folder.path().join("password");
    fs::write(&file, format!("{}\n", canary.password)).unwrap();
    let watch = canary.watch();
    let up = || {
        scene
            .up(&["--workers", "1"])
            .env("KINDREG_PASSWORD_FILE", &file)
            .env("KINDREG_VERBOSE", "3")
    };
    let said = up().run().exits(0).says("engine: upload to ");
    canary.is_not_in(&format!("{said}"), "what `up` says");
    canary.is_not_in(
        &format!("{}", up().args(&["--events", "json"]).run().exits(0)),
        "events",
    );
    scene.has_nodes(2);
    push(&scene);

    pods_of_every_namespace_and_account_pull(&scene);
    another_client_pulls_with_its_own_settings(&scene);
    secrets_alone_do_where_they_are(&scene);
    a_wrong_password_is_refused(&scene);

    let said = up().run().exits(0).says("node credentials");
    canary.is_not_in(&format!("{said}"), "what `up` says");
    canary.is_nowhere(&scene);
    for command in ["verify", "status", "env", "login"] {
        let said = scene
            .call(&[command, "-vvv", "--name", scene.cluster])
            .run()
            .exits(0);
        canary.is_not_in(&format!("{said}"), command);
    }
    let said = scene.down().args(&["-vvv"]).run().exits(0);
    canary.is_not_in(&format!("{said}"), "what `down` says");
    watch.saw_nothing();
    canary.is_not_on_the_machine(&scene);
    scene.is_as_before();
}

/// An image of this test, in the registry. Before the login, docker may not push it.
#[track_caller]
pub(crate) fn push(scene: &Scene) {
    let reference = format!("{}/{IMAGE}", scene.local_domain());
    let architecture = docker(&["info", "--format", "{{.Architecture}}"]);
    let nonce = format!("{:?}", std::time::SystemTime::now());
    let image = proof_image(
        architecture.trim().parse().unwrap(),
        &reference,
        nonce.as_bytes(),
    );
    run_with("docker", &["load"], &image.unwrap().archive).good();
    let nobody = scratch();
    let nobody = format!("--config={}", nobody.path().display());
    let said = attempt("docker", &[&nobody, "push", &reference]);
    assert!(
        !said.ok && said.all().contains("no basic auth credentials"),
        "{said:?}"
    );
    let settings = scene.login();
    docker(&[&settings, "push", &reference]);
    docker(&["image", "rm", &reference]);
    docker(&[&settings, "pull", &reference]);
    docker(&["image", "rm", &reference]);
    let said = attempt("docker", &[&nobody, "pull", &reference]);
    assert!(
        !said.ok && said.all().contains("no basic auth credentials"),
        "{said:?}"
    );
}

#[track_caller]
fn pods_of_every_namespace_and_account_pull(scene: &Scene) {
    kubectl(scene.cluster, &["create", "namespace", "late"]);
    kubectl(
        scene.cluster,
        &["create", "serviceaccount", "builder", "-n", "late"],
    );
    let places = [
        ("default", "default"),
        ("late", "default"),
        ("late", "builder"),
    ];
    let mut pods = Vec::new();
    for (nth, (namespace, account)) in (0..).zip(places) {
        for node in ["control-plane", "worker"] {
            pods.push(pod(scene, namespace, account, node, nth));
        }
    }
    Pod::all_run(scene, &pods);
}

/// crane, as the user's `login` left it, with no flag to trust anything.
#[track_caller]
fn another_client_pulls_with_its_own_settings(scene: &Scene) {
    let (folder, local) = (scratch(), scene.local_domain());
    let ca = folder.path().join("ca.crt");
    let node = format!("{}-worker", scene.cluster);
    let path = format!("/etc/containerd/certs.d/{}/ca.crt", scene.domain());
    fs::write(&ca, sh(&node, &format!("cat {path}"))).unwrap();
    let settings = scene.home().join(".docker");
    let script = format!(
        "DOCKER_CONFIG={} SSL_CERT_FILE={} crane manifest {local}/{IMAGE}",
        settings.display(),
        ca.display()
    );
    let said = attempt("sh", &["-c", &script]).good();
    assert!(said.contains("mediaType"), "{said}");
}

/// A node without the password pulls with a namespace's secret, and without one it does not.
#[track_caller]
fn secrets_alone_do_where_they_are(scene: &Scene) {
    let node = format!("{}-worker", scene.cluster);
    sh(
        &node,
        "rm /var/lib/kubelet/config.json; systemctl restart kubelet",
    );
    for namespace in ["patched", "unpatched"] {
        kubectl(scene.cluster, &["create", "namespace", namespace]);
    }
    scene
        .call(&[
            "secret",
            "--name",
            scene.cluster,
            "-n",
            "patched",
            "--patch-serviceaccount",
            "default",
        ])
        .run()
        .exits(0);
    pod(scene, "patched", "default", "worker", 10).runs(scene);
    pod(scene, "unpatched", "default", "worker", 10).is_refused(scene, "no basic auth credentials");
    // As another cluster would take it.
    let manifest = scene
        .call(&[
            "secret",
            "--name",
            scene.cluster,
            "-n",
            "unpatched",
            "--secret-name",
            "other",
            "--dry-run",
        ])
        .run()
        .exits(0);
    kubectl_apply(scene.cluster, &manifest.stdout);
    let patch = r#"{"imagePullSecrets":[{"name":"other"}]}"#;
    kubectl(
        scene.cluster,
        &[
            "patch",
            "serviceaccount",
            "default",
            "-n",
            "unpatched",
            "-p",
            patch,
        ],
    );
    pod(scene, "unpatched", "default", "worker", 11).runs(scene);
}

#[track_caller]
fn a_wrong_password_is_refused(scene: &Scene) {
    let node = format!("{}-control-plane", scene.cluster);
    // kindreg-a:wrong
    let script = r#"sed -i 's/"auth": *"[^"]*"/"auth": "a2luZHJlZy1hOndyb25n"/' /var/lib/kubelet/config.json; systemctl restart kubelet"#;
    sh(&node, script);
    pod(scene, "late", "default", "control-plane", 20).is_refused(scene, "401 Unauthorized");
    scene
        .verify()
        .run()
        .exits(3)
        .says("401 Unauthorized")
        .says("its certificate is trusted");
}
