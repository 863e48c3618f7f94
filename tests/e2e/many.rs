//! Clusters side by side: none is in another's way, and the end of one leaves the others alone.

use std::net::TcpListener;

use serde_json::Value;

use crate::support::{Kubeconfig, Scene, docker};

#[test]
#[ignore = "takes two minutes: make soak"]
fn four_clusters_come_up_at_once_and_go_one_by_one() {
    let scenes = [
        ("e2e-many1", 5921),
        ("e2e-many2", 5922),
        ("e2e-many3", 5926),
        ("e2e-many4", 5927),
    ]
    .map(|(name, port)| Scene::new(name, port, Kubeconfig::Absent));
    let running = scenes.each_ref().map(|scene| scene.up(&[]).start());
    for run in running {
        let up = run.end().exits(0).prints("Ready: 1 node");
        println!("   up beside three others {:.1} s", up.took.as_secs_f64());
    }
    let mut list = scenes[0].call(&["list"]).run().exits(0);
    for scene in &scenes {
        scene.verify().run().exits(0);
        list = list.prints(scene.cluster);
    }
    for (number, scene) in scenes.iter().enumerate() {
        scene.down().run().exits(0);
        scene
            .call(&["status", "--name", scene.cluster])
            .run()
            .exits(3);
        for other in &scenes[number + 1..] {
            other
                .call(&["status", "--name", other.cluster])
                .run()
                .exits(0)
                .prints("is ready");
        }
        if let Some(next) = scenes.get(number + 1) {
            next.verify().run().exits(0);
        }
    }
    let left = docker(&["ps", "-aq", "--filter", "name=e2e-many"]);
    assert_eq!(left, "", "something is left");
    // The first began before any was made, so its machine is the one without all of them.
    scenes[0].is_as_before();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn ports_that_are_found_at_once_do_not_collide_and_down_ends_one_cluster_or_all() {
    // A program of the engine's host, of which the engine knows nothing.
    let taken = TcpListener::bind("127.0.0.1:5001").expect("port 5001 is free");
    let one = Scene::new("e2e-auto1", 5002, Kubeconfig::Absent);
    let two = Scene::new("e2e-auto2", 5003, Kubeconfig::Other);
    let three = Scene::new("e2e-auto3", 5004, Kubeconfig::Absent);
    // Named like ours, and somebody else's.
    let theirs = "e2e-auto1-theirs";
    docker(&["volume", "create", theirs]);
    let auto = |scene: &Scene| {
        let flags = ["up", "--port", "auto", "--json", "--name", scene.cluster];
        scene.call(&flags)
    };
    let running = [&one, &two, &three].map(|scene| auto(scene).start());
    let mut ports = running.map(|run| {
        let up = run
            .end()
            .exits(0)
            .says("port 5001 of the engine's host is in use");
        println!("   up in {:.1} s", up.took.as_secs_f64());
        let made: Value = serde_json::from_str(&up.stdout).unwrap();
        made["registries"][0]["local"].as_str().unwrap().to_owned()
    });
    ports.sort();
    let found = ["localhost:5002", "localhost:5003", "localhost:5004"];
    assert_eq!(ports, found);
    three.down().run().exits(0).prints("Removed: ");
    for scene in [&one, &two] {
        // From then on the port is the cluster's, and the end of another changes nothing.
        let again = auto(scene).run().exits(0);
        let made: Value = serde_json::from_str(&again.stdout).unwrap();
        assert_eq!(made["changed"], false, "{again}");
        scene.verify().run().exits(0);
    }
    let down_all = || two.call(&["down", "--all"]).run().exits(0);
    let mut down = down_all();
    for scene in [&one, &two] {
        down = down.prints(&format!("Removed: cluster {}", scene.cluster));
    }
    drop(taken);
    docker(&["volume", "rm", theirs]);
    two.is_as_before();
    down_all().prints("Nothing to do");
}
