//! Clusters side by side: none is in another's way, and the end of one leaves the others alone.

use crate::support::{Kubeconfig, Scene, docker};

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn clusters_come_up_at_once_and_go_one_by_one() {
    let one = Scene::new("e2e-many1", 5921, Kubeconfig::Absent);
    let two = Scene::new("e2e-many2", 5922, Kubeconfig::Absent);
    let running = [&one, &two].map(|scene| scene.up(&[]).start());
    for run in running {
        run.end().exits(0).prints("Ready: 1 node");
    }
    for scene in [&one, &two] {
        scene.verify().run().exits(0);
    }
    one.call(&["list"])
        .run()
        .exits(0)
        .prints("e2e-many1")
        .prints("e2e-many2");
    one.down().run().exits(0);
    two.verify().run().exits(0);
    two.call(&["status", "--name", two.cluster])
        .run()
        .exits(0)
        .prints("is ready");
    one.call(&["status", "--name", one.cluster]).run().exits(3);
    two.down().run().exits(0);
    let left = docker(&["ps", "-aq", "--filter", "name=e2e-many"]);
    assert_eq!(left, "", "something is left");
    // The second began before the first was made, so its machine is the one without either.
    two.is_as_before();
}
