//! `kill -9` at any event of `up` and of `down`: the next `up` reaches Ready, and the next `down` leaves nothing.
//!
//! The program has no hook for this: the test reads its events, and kills it at one of them.

use std::time::Duration;

use crate::support::{Call, Kubeconfig, Scene};

/// More events than a run has.
const MANY: usize = 200;

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn killed_at_every_twelfth_event_up_finishes_and_down_leaves_nothing() {
    killed_at_every(12);
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn killed_while_kind_is_at_work_the_next_up_finishes() {
    let scene = Scene::new("e2e-kill", 5932, Kubeconfig::Other);
    kill_after(
        &scene,
        ("started", "cluster.created"),
        Duration::from_secs(2),
    );
    is_ready(&scene);
    scene.down().run().exits(0).prints("Removed: ");
    scene.is_as_before();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn killed_while_kind_is_at_work_down_leaves_nothing() {
    let scene = Scene::new("e2e-kill", 5930, Kubeconfig::Other);
    kill_after(
        &scene,
        ("started", "cluster.created"),
        Duration::from_secs(1),
    );
    scene.down().run().exits(0).prints("Removed: ");
    scene.is_as_before();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn killed_after_the_hosts_trust_down_leaves_nothing() {
    let scene = Scene::new("e2e-kill", 5931, Kubeconfig::Absent);
    kill_after(&scene, ("done", "host.trust"), Duration::ZERO);
    scene.down().run().exits(0).prints("Removed: ");
    scene.is_as_before();
}

/// At every so manieth event of `up` from nothing, and of `down` of a cluster that is ready and that docker is logged
/// in to. The points of both go by turns, so that each ends what the other made.
#[track_caller]
pub(crate) fn killed_at_every(nth: usize) {
    let scene = Scene::new("e2e-kill", 5933, Kubeconfig::Other);
    let (mut ups, mut downs) = (Vec::new(), Vec::new());
    for point in (nth.div_ceil(2)..MANY).step_by(nth) {
        let up = kill_at(scene.up(&["--events", "json"]), point);
        is_ready(&scene);
        scene.login();
        let down = kill_at(scene.down().args(&["--events", "json"]), point);
        if down.is_some() {
            is_ready(&scene);
            scene.down().run().exits(0).prints("Removed: ");
        }
        scene.is_as_before();
        println!("   killed at event {point}: {up:?}; {down:?}");
        ups.extend(up.clone());
        downs.extend(down.clone());
        if up.is_none() && down.is_none() {
            println!("   {} points of `up`, {} of `down`", ups.len(), downs.len());
            // A run that ended of itself before it could be killed would be no point.
            let least = 20_usize.div_ceil(nth);
            assert!(ups.len() >= least && downs.len() >= least);
            return;
        }
    }
    panic!("a run has more than {MANY} events");
}

/// `kill -9` once so many events were read; the last of them, or `None` where the run ended, well, before that.
#[track_caller]
fn kill_at(call: Call, number: usize) -> Option<String> {
    let mut run = call.start();
    let mut last = String::new();
    for _ in 0..number {
        let Some(event) = run.next_event() else {
            run.end().exits(0);
            return None;
        };
        let word = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        last = format!("{} {}", word("event"), word("id"));
    }
    // Dropped, it is killed with SIGKILL.
    drop(run);
    Some(last)
}

/// `kill -9` at the first event of that kind, or some time later.
#[track_caller]
fn kill_after(scene: &Scene, event: (&str, &str), later: Duration) {
    let mut up = scene.up(&["--events", "json"]).start();
    up.until(event);
    std::thread::sleep(later);
    drop(up);
}

/// Another `up` succeeds, whatever was there, and one more has nothing to do.
#[track_caller]
fn is_ready(scene: &Scene) {
    scene.up(&[]).run().exits(0);
    scene.has_nodes(1);
    scene.up(&[]).run().exits(0).prints("Nothing to do");
}
