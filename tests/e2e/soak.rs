//! What takes longer than `make test` may: `tests/e2e/run soak`.

use crate::kill::finishes_and_leaves_nothing;
use crate::support::{Kubeconfig, Scene};

/// More events than `up` has.
const MANY: usize = 500;

#[test]
#[ignore = "takes an hour: make soak"]
fn killed_at_any_event_the_next_up_finishes() {
    for number in 1..MANY {
        let scene = Scene::new("e2e-soak", 5950, Kubeconfig::Other);
        let mut up = scene.up(&["--events", "json"]).start();
        let mut last = None;
        for _ in 0..number {
            last = up.next_event();
        }
        let Some(event) = last else {
            println!("   it has {} events", number - 1);
            return;
        };
        drop(up);
        println!("   killed at event {number}: {event}");
        finishes_and_leaves_nothing(&scene);
    }
    panic!("it has more than {MANY} events");
}

#[test]
#[ignore = "takes ten minutes: make soak"]
fn twenty_rounds_leave_nothing() {
    let scene = Scene::new("e2e-rounds", 5951, Kubeconfig::Other);
    for round in 1..=20 {
        let up = scene.up(&[]).run().exits(0).prints("Ready: 1 node");
        let down = scene.down().run().exits(0).prints("Removed: ");
        scene.is_as_before();
        let (up, down) = (up.took.as_secs_f64(), down.took.as_secs_f64());
        println!("   round {round}: up {up:.1} s, down {down:.1} s");
    }
}
