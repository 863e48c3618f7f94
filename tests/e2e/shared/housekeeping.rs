//! Docker's own housekeeping while a cluster runs, and containers that others start from images of ours.

use crate::support::{Scene, Shared, attempt, docker, docker_lines};

/// An image and a container of somebody else's, made from our registry; they go when dropped.
#[derive(Debug)]
pub(super) struct Committed {
    container: &'static str,
}

const IMAGE: &str = "e2e-committed:1";
/// As ours are named, and with our labels, which come from the image.
const CONTAINER: &str = "kindreg-e2e-shared-theirs";

impl Committed {
    pub(super) fn create(scene: &Scene) -> Self {
        docker(&["commit", &scene.registry(), IMAGE]);
        docker(&["create", "--name", CONTAINER, IMAGE]);
        let format = "{{index .Config.Labels \"dev.kindreg.cluster\"}}";
        let label = docker(&["inspect", "--format", format, CONTAINER]);
        assert_eq!(label.trim(), scene.cluster, "it has our label");
        Self {
            container: CONTAINER,
        }
    }

    /// It is still there.
    #[track_caller]
    pub(super) fn is_untouched(&self) {
        let state = ["inspect", "--format", "{{.State.Status}}", self.container];
        let state = docker(&state);
        assert_eq!(state.trim(), "created");
    }
}

impl Drop for Committed {
    fn drop(&mut self) {
        attempt("docker", &["rm", "-f", "-v", self.container]);
        attempt("docker", &["image", "rm", IMAGE]);
    }
}

/// The record container is gone, and nobody misses it.
#[track_caller]
pub(super) fn is_known_without_record(scene: &Scene) {
    let filter = format!("name=^/?kindreg-{}$", scene.cluster);
    let record = docker_lines(&["ps", "-aq", "--filter", &filter]);
    assert_eq!(record, [""; 0], "prune takes the record");
    scene.call(&["list"]).run().exits(0).prints(&scene.domain());
    let status = ["status", "--name", scene.cluster];
    let record = format!("missing  record kindreg-{}", scene.cluster);
    scene.call(&status).run().exits(3).prints(&record);
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_record_that_prune_took_comes_back() {
    let scene = Shared::cluster();
    docker(&["container", "prune", "-f"]);
    is_known_without_record(&scene);
    scene
        .call(&["verify", "--name", scene.cluster])
        .run()
        .exits(0);
    scene.up(&["--workers", "2"]).run().exits(0).prints("Ready");
    scene
        .call(&["status", "--name", scene.cluster])
        .run()
        .exits(0);
    // What `down` restores was in its copy.
    let record = format!("kindreg-{}", scene.cluster);
    let originals = attempt(
        "docker",
        &["cp", &format!("{record}:/kindreg/originals"), "-"],
    );
    assert!(
        originals.ok && originals.stdout.contains("other-context"),
        "{originals:?}"
    );
}
