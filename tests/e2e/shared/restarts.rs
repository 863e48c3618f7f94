//! After a restart pulls work again without `up`: of the registry, of one node, of all nodes in another order, of the
//! engine itself.

use std::time::{Duration, Instant};

use crate::support::{Scene, Shared, attempt, docker, nodes};

/// How long a cluster may take to come back: kubelet and API server need some 20 s.
const LIMIT: Duration = Duration::from_secs(180);

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn pulls_work_again_after_each_kind_of_restart() {
    let scene = Shared::cluster();
    let [control_plane, one, two] = nodes(scene.cluster).try_into().unwrap();
    let registry = scene.registry();

    docker(&["restart", "-t", "2", &registry]);
    pulls_again(&scene, "the registry restarted");

    docker(&["restart", "-t", "2", &two]);
    pulls_again(&scene, "a node restarted");

    let addresses = || [&control_plane, &one, &two, &registry].map(|name| address(name));
    let before = addresses();
    docker(&["stop", "-t", "2", &control_plane, &one, &two, &registry]);
    // The engine gives out addresses in order, so the last becomes the first.
    let mut order: Vec<_> = before
        .iter()
        .zip([&control_plane, &one, &two, &registry])
        .collect();
    order.sort_by(|a, b| b.0.cmp(a.0));
    let order: Vec<&str> = order.into_iter().map(|(_, name)| name.as_str()).collect();
    docker(&[&["start"], &order[..]].concat());
    assert_ne!(addresses(), before, "addresses were not exchanged");
    pulls_again(&scene, "all started in another order");

    let restart = std::env::var("KINDREG_E2E_RESTART").expect("KINDREG_E2E_RESTART is set");
    attempt("sh", &["-c", &restart]).good();
    pulls_again(&scene, "the engine restarted");

    scene.up(&["--workers", "2"]).run().exits(0);
}

fn address(container: &str) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    docker(&["inspect", "--format", format, container])
}

/// Every node pulls, at the latest when the cluster is itself again; `verify` repairs nothing.
#[track_caller]
fn pulls_again(scene: &Scene, after: &str) {
    let begun = Instant::now();
    loop {
        let verify = scene
            .call(&["verify", "--name", scene.cluster, "--timeout", "30"])
            .run();
        if verify.code == Some(0) {
            println!(
                "   pulls work after {after} ({:.1} s)",
                begun.elapsed().as_secs_f64()
            );
            return;
        }
        assert!(begun.elapsed() < LIMIT, "no pulls after {after}: {verify}");
        std::thread::sleep(Duration::from_secs(1));
    }
}
