//! Ctrl-C rolls back; two `up` of one cluster wait for each other.

use rustix::process::Signal;

use crate::support::{Kubeconfig, Scene};

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn interrupted_in_the_middle_it_rolls_everything_back() {
    let scene = Scene::new("e2e-stop", 5940, Kubeconfig::Other);
    let mut up = scene.up(&["--events", "json"]).start();
    up.until(("done", "node container"));
    up.signal(Signal::INT);
    let ended = up
        .end()
        .exits(130)
        .says(r#""event":"interrupted""#)
        .says("rolled back");
    assert_eq!(ended.stdout, "", "{ended}");
    println!(
        "   rolled back, {:.1} s after it began",
        ended.took.as_secs_f64()
    );
    scene.is_as_before();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn terminated_while_kind_is_at_work_it_rolls_everything_back() {
    let scene = Scene::new("e2e-stop", 5941, Kubeconfig::Absent);
    let mut up = scene.up(&["--workers", "1", "--events", "json"]).start();
    up.until(("started", "kind cluster"));
    up.signal(Signal::TERM);
    up.end().exits(130).says("rolled back");
    scene.is_as_before();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn of_two_up_at_once_the_second_waits_and_both_succeed() {
    let scene = Scene::new("e2e-two", 5942, Kubeconfig::Absent);
    let mut first = scene.up(&["--events", "json"]).start();
    first.until(("done", "record "));
    let mut second = scene.up(&[]).start();
    second.until_it_says("another kindreg is at work on cluster e2e-two; waiting for it");
    first
        .end()
        .exits(0)
        .prints("Ready: 1 node of cluster e2e-two");
    second
        .end()
        .exits(0)
        .prints("Nothing to do: cluster e2e-two");
    scene.has_nodes(1);
    scene.down().run().exits(0);
    scene.is_as_before();
}
