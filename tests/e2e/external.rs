//! A registry that kindreg does not run, and none of kindreg's own beside it.

use serde_json::Value;

use crate::support::company::{Company, IMAGE};
use crate::support::{Kubeconfig, Pod, Scene, docker, nodes, sh};

/// A pod with an image of theirs on each node, in a namespace.
#[track_caller]
pub(crate) fn pods_pull(scene: &Scene, company: &Company, namespace: &str, nth: u32) {
    let names = nodes(scene.cluster);
    let cluster = format!("{}-", scene.cluster);
    let pods = names.iter().map(|name| {
        let node = name.trim_start_matches(&cluster);
        Pod {
            namespace,
            name: format!("theirs-{node}-{nth}"),
            account: "default",
            node,
            image: format!("{}/{IMAGE}", company.domain()),
        }
    });
    Pod::all_run(scene, &pods.collect::<Vec<_>>());
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn alone_it_is_enough_for_a_cluster() {
    let company = Company::start("e2e-company-alone", 5733, &[]);
    let scene = Scene::new("e2e-alone", 5734, Kubeconfig::Absent);
    let file = company.file("", "auth = false\nnames = [\"mirror.company.internal\"]\n");
    let up = || {
        scene.call(&[
            "up",
            "--name",
            scene.cluster,
            "--config",
            file.to_str().unwrap(),
            "--yes",
        ])
    };
    up().run()
        .exits(0)
        .prints("Ready: 1 node")
        .prints(&format!("got an answer from {}", company.domain()));
    scene.has_nodes(1);
    up().run().exits(0).prints("Nothing to do");
    pods_pull(&scene, &company, "default", 0);
    let node = format!("{}-control-plane", scene.cluster);
    sh(
        &node,
        "grep -v kindreg: /etc/hosts >/tmp/hosts; cat /tmp/hosts >/etc/hosts",
    );
    up().run().exits(0).says(&format!("/etc/hosts on {node}"));
    docker(&["stop", "-t", "2", company.container]);
    // A registry that is out of reach may come back for 25 s.
    let said = scene
        .verify()
        .args(&["--timeout", "10"])
        .run()
        .exits(3)
        .says("connection refused")
        .says("check the address and port");
    println!(
        "   out of reach is told after {:.0} s",
        said.took.as_secs_f64()
    );
    docker(&["start", company.container]);
    let said = scene.verify().args(&["--json"]).run().exits(0);
    let table: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(table["nodes"][0]["pull"], "answered", "{table:#}");
    let said = scene.verify().args(&["--strict"]).run().exits(0);
    assert!(!said.stdout.contains("refuses"), "{said}");
    scene.down().run().exits(0);
    scene.is_as_before();
}
