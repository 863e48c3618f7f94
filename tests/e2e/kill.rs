//! `kill -9` at any event of `up` and of `down`: the next `up` reaches Ready, and the next `down` leaves nothing.
//!
//! The program has no hook for this: the test reads its events, and kills it at one of them.

use std::time::Duration;

use crate::support::{Call, Kubeconfig, Scene};

/// More events than a run has.
const MANY: usize = 200;

/// Early and late events of `up` and of `down`, which has fewer. What lies between is kind's work, of which the tests
/// below have a point each.
const POINTS: [(usize, usize); 2] = [(6, 18), (30, 6)];

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn killed_at_events_of_each_part_up_finishes_and_down_leaves_nothing() {
    let scene = Scene::new("e2e-kill", 5933, Kubeconfig::Other);
    for (up, down) in POINTS {
        let (killed_up, killed_down) = killed_at(&scene, up, down);
        // A run that ended of itself before it could be killed would be no point.
        assert!(killed_up.is_some(), "`up` has fewer than {up} events");
        assert!(killed_down.is_some(), "`down` has fewer than {down} events");
    }
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

/// At every event of `up` from nothing, and of `down` of a cluster that is ready and that docker is logged in to. The
/// points of both go by turns, so that each ends what the other made.
#[track_caller]
pub(crate) fn killed_at_every_event() {
    let scene = Scene::new("e2e-kill", 5933, Kubeconfig::Other);
    let (mut ups, mut downs) = (0, 0);
    for point in 1..MANY {
        let (up, down) = killed_at(&scene, point, point);
        ups += usize::from(up.is_some());
        downs += usize::from(down.is_some());
        if up.is_none() && down.is_none() {
            println!("   {ups} points of `up`, {downs} of `down`");
            assert!(ups >= 20 && downs >= 20);
            return;
        }
    }
    panic!("a run has more than {MANY} events");
}

/// Kills `up` from nothing at one of its events, finishes it, and does the same with `down`. Returns the event at which
/// each was killed.
#[track_caller]
fn killed_at(scene: &Scene, up: usize, down: usize) -> (Option<String>, Option<String>) {
    let up = kill_at(scene.up(&["--events", "json"]), up);
    is_ready(scene);
    scene.login();
    let down = kill_at(scene.down().args(&["--events", "json"]), down);
    // One that ended before it could be killed has removed all.
    if down.is_some() {
        is_ready(scene);
        scene.down().run().exits(0).prints("Removed: ");
    }
    scene.is_as_before();
    println!("   killed: {up:?}; {down:?}");
    (up, down)
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
