//! A full disk of the registry: no image is lost, and once there is room again all goes on.

use std::path::Path;

use crate::disk::Mounted;
use crate::support::{Shared, docker};
use crate::walk::an_image_of_the_users_own_runs;

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_full_disk_of_the_registry_loses_no_image() {
    let scene = Shared::cluster();
    an_image_of_the_users_own_runs(&scene);
    let volume = format!("{}-data", scene.registry());
    let data = docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", &volume]);
    let small = Mounted::small(Path::new(data.trim()), "size=16k");
    // It sees the file system from its start on.
    docker(&["restart", &scene.registry()]);
    scene
        .verify()
        .run()
        .exits(3)
        .says("can't push image localhost:5900/kindreg/proof:e2e-shared")
        .says("hint: ");
    docker(&["stop", &scene.registry()]);
    drop(small);
    scene.up(&["--workers", "2"]).run().exits(0);
    scene.verify().run().exits(0);
    an_image_of_the_users_own_runs(&scene);
}
