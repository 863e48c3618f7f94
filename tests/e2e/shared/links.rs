//! Links on the way to certs.d of the engine's host, as a real engine and a real kernel follow them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::{Scene, Shared};

const CERTS: &str = "/etc/docker/certs.d";

/// certs.d as a link to another place, until this is dropped.
struct Linked(&'static str);

impl Linked {
    fn to(place: &'static str) -> Self {
        assert!(!Path::new(place).exists(), "{place} is somebody else's");
        fs::rename(CERTS, place).unwrap();
        symlink(place, CERTS).unwrap();
        Self(place)
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        fs::remove_file(CERTS).unwrap();
        fs::rename(self.0, CERTS).unwrap();
    }
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn links_of_the_host_are_followed_below_etc_and_never_out_of_it() {
    let scene = Shared::cluster();
    // The image of the nodes, which writes there, lacks the first folder and has the second.
    for place in ["/etc/kindreg-e2e-certs", "/etc/kubernetes"] {
        let _linked = Linked::to(place);
        is(&scene, "status", 0, "is ready");
        let file =
            Path::new(place).join(format!("{}/kindreg-{}.crt", scene.domain(), scene.cluster));
        fs::remove_file(&file).unwrap();
        is(&scene, "status", 3, "missing  host trust");
        scene.up(&["--workers", "2"]).run().exits(0);
        assert!(
            file.exists(),
            "{}: written where nobody reads it",
            file.display()
        );
        is(&scene, "status", 0, "is ready");
    }
    let linked = Linked::to("/opt/kindreg-e2e-certs");
    let outside = Path::new(linked.0).join(scene.domain());
    let file = outside.join(format!("kindreg-{}.crt", scene.cluster));
    let text = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let why = "is a link that leads out of /etc";
    scene
        .call(&["status", "--name", scene.cluster])
        .run()
        .exits(1)
        .says(why);
    scene.up(&["--workers", "2"]).run().exits(1).says(why);
    assert!(!file.exists(), "written out of /etc");
    fs::write(&file, text).unwrap();
    drop(linked);
    is(&scene, "status", 0, "is ready");
}

#[track_caller]
fn is(scene: &Scene, command: &str, code: i32, what: &str) {
    scene
        .call(&[command, "--name", scene.cluster])
        .run()
        .exits(code)
        .prints(what);
}
