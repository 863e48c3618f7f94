//! Other settings for a cluster that is there: they are taken on, proven, and what the earlier ones made is gone.

use crate::support::{Scene, Shared, nodes, sh};

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn another_name_and_port_are_taken_on_and_the_old_ones_end() {
    let scene = Shared::cluster();
    every_node_trusts(&scene, ["localhost:5900", "registry.test:5900"]);
    let old = std::path::Path::new("/etc/docker/certs.d/registry.test:5900");
    let new = std::path::Path::new("/etc/docker/certs.d/other.test:5924");
    assert!(old.exists());

    let arguments = [
        "up",
        "--name",
        scene.cluster,
        "--workers",
        "2",
        "--host",
        "other.test",
        "--port",
        "5924",
    ];
    let up = scene
        .call(&arguments)
        .run()
        .exits(0)
        .prints("Ready: 3 nodes of cluster e2e-shared pulled from other.test:5924");
    println!("   taken on in {:.1} s", up.took.as_secs_f64());
    every_node_trusts(&scene, ["localhost:5924", "other.test:5924"]);
    assert!(new.exists() && !old.exists(), "the engine host's trust");
    scene.verify().run().exits(0).prints("other.test:5924");
    scene
        .call(&arguments)
        .run()
        .exits(0)
        .prints("Nothing to do");
}

#[track_caller]
fn every_node_trusts(scene: &Scene, domains: [&str; 2]) {
    for node in nodes(scene.cluster) {
        let listed = sh(&node, "ls /etc/containerd/certs.d");
        let listed: Vec<&str> = listed.split_whitespace().collect();
        assert_eq!(listed, domains, "{node}");
    }
}
