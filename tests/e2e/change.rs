//! Other settings for a cluster that is there: they are taken on, proven, and what the earlier ones made is gone.

use crate::support::{Kubeconfig, Scene, nodes, sh};

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn another_name_and_port_are_taken_on_and_the_old_ones_end() {
    let scene = Scene::new("e2e-change", 5923, Kubeconfig::Other);
    scene.up(&[]).run().exits(0);
    assert_eq!(
        trusted_by_the_node(&scene),
        ["localhost:5923", "registry.test:5923"]
    );
    let old = std::path::Path::new("/etc/docker/certs.d/registry.test:5923");
    let new = std::path::Path::new("/etc/docker/certs.d/other.test:5924");
    assert!(old.exists());

    let arguments = [
        "up",
        "--name",
        scene.cluster,
        "--host",
        "other.test",
        "--port",
        "5924",
    ];
    let up = scene
        .call(&arguments)
        .run()
        .exits(0)
        .prints("Ready: 1 node of cluster e2e-change pulled from other.test:5924");
    println!("   taken on in {:.1} s", up.took.as_secs_f64());
    assert_eq!(
        trusted_by_the_node(&scene),
        ["localhost:5924", "other.test:5924"]
    );
    assert!(new.exists() && !old.exists(), "the engine host's trust");
    scene.verify().run().exits(0).prints("other.test:5924");
    scene
        .call(&arguments)
        .run()
        .exits(0)
        .prints("Nothing to do");

    scene.down().run().exits(0);
    scene.is_as_before();
}

#[track_caller]
fn trusted_by_the_node(scene: &Scene) -> Vec<String> {
    let [node] = nodes(scene.cluster).try_into().unwrap();
    let listed = sh(&node, "ls /etc/containerd/certs.d");
    listed.split_whitespace().map(str::to_owned).collect()
}
