//! What takes longer than `make test` may: `tests/e2e/run soak`.

use crate::kill::killed_at_every_event;
use crate::support::{Kubeconfig, Scene};

#[test]
#[ignore = "takes an hour: make soak"]
fn killed_at_every_event_up_finishes_and_down_leaves_nothing() {
    killed_at_every_event();
}

#[test]
#[ignore = "takes ten minutes: make soak"]
fn twenty_rounds_leave_nothing() {
    let scene = Scene::new("e2e-rounds", 5951, Kubeconfig::Other);
    let mut times = Vec::new();
    for round in 1..=20 {
        let up = scene.up(&[]).run().exits(0).prints("Ready: 1 node");
        let down = scene.down().run().exits(0).prints("Removed: ");
        scene.is_as_before();
        let (up, down) = (up.took.as_secs_f64(), down.took.as_secs_f64());
        println!("   round {round}: up {up:.1} s, down {down:.1} s");
        times.push(up + down);
    }
    // Something that piles up would show; a busy machine alone does not make it half as slow again for so long.
    let third = times.len().div_ceil(3);
    let best = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
    let (first, last) = (best(&times[..third]), best(&times[times.len() - third..]));
    println!("   the best of the first {third}: {first:.1} s, of the last: {last:.1} s");
    assert!(last < 1.5 * first, "rounds get slower");
}
