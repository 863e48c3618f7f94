//! What somebody does to a cluster whose settings stay the same.

use super::{
    CONFIG_MAP, CONTAINERD, CONTROL_PLANE, Drift, HOSTING, NODES, PASSWORD, PROOF, READY, REGISTRY,
    SERVICE, TRUST, WORKER, WORKER2,
};
use crate::support::{SHARED, Scene, docker, exec, kubectl, nodes, sh, write_in};

/// How it is done, and how it has to be told and repaired.
pub(super) type Case = (fn(&Scene), Drift);

/// All but the files of nodes, in an order in which one does not hide another.
pub(super) fn all_others(scene: &Scene) -> Vec<Case> {
    let mut all = registrys(scene);
    all.extend(nodes_containers(scene));
    all.extend(clusters_and_hosts(scene));
    all
}

fn disconnect(container: &str) {
    docker(&["network", "disconnect", "kindreg-e2e-shared", container]);
}

fn stop(container: &str) {
    docker(&["stop", "-t", "2", container]);
}

/// In an order in which one does not hide another. Other versions of containerd have other files.
pub(super) fn nodes_files(scene: &Scene) -> Vec<Case> {
    let domain = scene.domain();
    let [_, one, two] = nodes(SHARED).try_into().unwrap();
    vec![
        (
            |scene| {
                let path = format!("/etc/containerd/certs.d/{}/hosts.toml", scene.domain());
                exec(WORKER, &["rm", &path]);
            },
            Drift::new(
                "a hosts.toml removed",
                TRUST,
                format!("{domain}/hosts.toml on {one}"),
            )
            .proven(),
        ),
        (
            |scene| {
                let path = format!("/etc/containerd/certs.d/{}/ca.crt", scene.domain());
                write_in(WORKER2, &path, "another\n");
            },
            Drift::new("a CA changed", TRUST, format!("{domain}/ca.crt on {two}")).proven(),
        ),
        (
            |_| {
                let script = "sed -i /config_path/d /etc/containerd/config.toml; systemctl restart containerd";
                sh(WORKER, script);
            },
            Drift::new(
                "config_path removed",
                CONTAINERD,
                format!("config_path not set on {one}"),
            )
            .proven(),
        ),
        (
            |_| write_in(WORKER2, "/var/lib/kubelet/config.json", "{}"),
            Drift::new(
                "a node's password removed",
                PASSWORD,
                format!("missing on {two}"),
            )
            .proven(),
        ),
        (
            |_| {
                exec(WORKER2, &["rm", "/var/lib/kindreg/proof/registry"]);
            },
            Drift::new(
                "a proof's note removed",
                PROOF,
                format!("not proven: {two}"),
            )
            .proven(),
        ),
    ]
}

fn registrys(_: &Scene) -> Vec<Case> {
    let off = format!("not on network kindreg-{SHARED}");
    let nameless = format!("without the name registry.test on network kindreg-{SHARED}");
    vec![
        (
            |scene| stop(&scene.registry()),
            Drift::new("the registry stopped", SERVICE, "exited with code"),
        ),
        (
            |scene| disconnect(&scene.registry()),
            Drift::new("the registry disconnected", REGISTRY, off)
                .repaired_with([SERVICE])
                .proven(),
        ),
        (
            |scene| {
                disconnect(&scene.registry());
                let network = format!("kindreg-{SHARED}");
                docker(&["network", "connect", &network, &scene.registry()]);
            },
            Drift::new("the registry's name lost", REGISTRY, nameless)
                .repaired_with([SERVICE])
                .proven(),
        ),
        (
            |scene| {
                docker(&["rm", "-f", &scene.registry()]);
            },
            Drift::missing("the registry removed", REGISTRY)
                .repaired_with([SERVICE])
                .proven(),
        ),
    ]
}

fn nodes_containers(_: &Scene) -> Vec<Case> {
    let [control_plane, one, two] = nodes(SHARED).try_into().unwrap();
    let off = format!("not on network kindreg-{SHARED}: {two}");
    let stopped = |done, node| Drift::new(done, NODES, format!("not running: {node}"));
    vec![
        (
            |_| stop(WORKER),
            stopped("a node stopped", one).perhaps_with(&[READY]),
        ),
        (
            |_| stop(CONTROL_PLANE),
            stopped("the control plane stopped", control_plane).perhaps_with(&[CONFIG_MAP, READY]),
        ),
        (
            |_| disconnect(WORKER2),
            Drift::new("a node disconnected", NODES, off).perhaps_with(&[READY]),
        ),
    ]
}

fn clusters_and_hosts(scene: &Scene) -> Vec<Case> {
    let host = format!("host.trust/{}", scene.domain());
    vec![
        (
            |_| {
                kubectl(SHARED, &[&["delete"], &HOSTING[..]].concat());
            },
            Drift::missing("the ConfigMap deleted", CONFIG_MAP),
        ),
        (
            |_| {
                let patch = [
                    "-p",
                    r#"{"data": {"localRegistryHosting.v1": "host: elsewhere\n"}}"#,
                ];
                kubectl(SHARED, &[&["patch"], &HOSTING[..], &patch].concat());
            },
            Drift::new("the ConfigMap edited", CONFIG_MAP, "different content"),
        ),
        (
            |scene| {
                let file = scene.host_certs().join("kindreg-e2e-shared.crt");
                std::fs::remove_file(file).unwrap();
            },
            Drift::new(
                "the host's CA removed",
                host,
                "kindreg-e2e-shared.crt is missing",
            ),
        ),
    ]
}
