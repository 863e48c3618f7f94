//! `kill -9` anywhere in `up`: the next `up` finishes it, and `down` leaves nothing.
//!
//! The program has no hook for this: the test reads its events, and kills it at one of them.

use std::time::Duration;

use crate::support::{Kubeconfig, Scene};

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn killed_after_the_record_the_next_up_finishes() {
    up_finishes_what_was_killed(("done", "record "), Duration::ZERO);
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn killed_while_the_registry_is_made_the_next_up_finishes() {
    up_finishes_what_was_killed(("started", "certificate "), Duration::ZERO);
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn killed_when_the_nodes_run_the_next_up_finishes() {
    up_finishes_what_was_killed(("done", "node container"), Duration::ZERO);
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn killed_while_kind_is_at_work_the_next_up_finishes() {
    up_finishes_what_was_killed(("started", "kind cluster"), Duration::from_secs(2));
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn killed_before_the_proof_the_next_up_finishes() {
    up_finishes_what_was_killed(("started", "proof:"), Duration::ZERO);
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn killed_while_kind_is_at_work_down_leaves_nothing() {
    let scene = Scene::new("e2e-kill", 5930, Kubeconfig::Other);
    kill_at(&scene, ("started", "kind cluster"), Duration::from_secs(1));
    scene.down().run().exits(0).prints("Removed: ");
    scene.is_as_before();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn killed_after_the_hosts_trust_down_leaves_nothing() {
    let scene = Scene::new("e2e-kill", 5931, Kubeconfig::Absent);
    kill_at(
        &scene,
        ("done", "trust of the engine's host"),
        Duration::ZERO,
    );
    scene.down().run().exits(0).prints("Removed: ");
    scene.is_as_before();
}

#[track_caller]
fn up_finishes_what_was_killed(event: (&str, &str), later: Duration) {
    let scene = Scene::new("e2e-kill", 5932, Kubeconfig::Other);
    kill_at(&scene, event, later);
    finishes_and_leaves_nothing(&scene);
}

/// `kill -9` at the first event of that kind, or some time later.
#[track_caller]
fn kill_at(scene: &Scene, event: (&str, &str), later: Duration) {
    let mut up = scene.up(&["--events", "json"]).start();
    up.until(event);
    std::thread::sleep(later);
    // Dropped, it is killed with SIGKILL.
    drop(up);
}

/// Another `up` succeeds, a third has nothing to do, and `down` leaves nothing.
#[track_caller]
pub(crate) fn finishes_and_leaves_nothing(scene: &Scene) {
    let up = scene
        .up(&[])
        .run()
        .exits(0)
        .prints("Ready: 1 node of cluster");
    println!("   finished in {:.1} s", up.took.as_secs_f64());
    scene.has_nodes(1);
    scene.up(&[]).run().exits(0).prints("Nothing to do");
    scene.down().run().exits(0).prints("Removed: ");
    scene.is_as_before();
}
