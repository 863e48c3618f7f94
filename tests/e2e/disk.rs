//! Full disks, made by a small file system over a real folder: the error names them, nothing is lost or left, and once
//! there is room again all goes on.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::support::{Kubeconfig, OTHER, Scene, attempt, docker, scratch};

const FULL: &str = "no space left on device";

/// A file system over a folder, until the end of the test.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// A small one in memory; `options` say how small. What the folder held is hidden meanwhile.
    #[track_caller]
    pub(crate) fn small(folder: &Path, options: &str) -> Self {
        let at = folder.to_str().unwrap();
        attempt("mount", &["-t", "tmpfs", "-o", options, "kindreg-e2e", at]).good();
        Self(folder.to_owned())
    }

    /// A file over itself, as development containers mount single files.
    #[track_caller]
    fn itself(file: &Path) -> Self {
        let at = file.to_str().unwrap();
        attempt("mount", &["--bind", at, at]).good();
        Self(file.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = attempt("umount", &[self.0.to_str().unwrap()]);
        assert!(
            unmounted.ok || std::thread::panicking(),
            "{}",
            unmounted.all()
        );
    }
}

/// All the room that was left in a folder; given back when it is dropped.
struct Filled(PathBuf);

impl Drop for Filled {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

#[track_caller]
fn fill(folder: &Path) -> Filled {
    let file = folder.join("kindreg-e2e-fill");
    let written = attempt(
        "dd",
        &["if=/dev/zero", "bs=4k", &format!("of={}", file.display())],
    );
    assert!(
        written.all().to_lowercase().contains(FULL),
        "{}",
        written.all()
    );
    Filled(file)
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_full_disk_of_the_engine_is_named_and_all_is_rolled_back() {
    let scene = Scene::new("e2e-full", 5960, Kubeconfig::Other);
    let root = docker(&["info", "--format", "{{.DockerRootDir}}"]);
    let volumes = Path::new(root.trim()).join("volumes");
    // No room for a volume, for the registry's certificate, for what kind's nodes write.
    for room in ["nr_inodes=2", "size=8k", "size=8m"] {
        println!("   {room}");
        let small = Mounted::small(&volumes, room);
        scene
            .up(&["--workers", "1"])
            .run()
            .exits(1)
            .says(FULL)
            .says("hint: make room");
        drop(small);
        scene.is_as_before();
    }
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_full_home_loses_no_settings() {
    let scene = Scene::new("e2e-full", 5962, Kubeconfig::Absent);
    let place = scratch();
    let small = Mounted::small(place.path(), "size=64k");
    let (config, kubeconfig) = (
        place.path().join("config.json"),
        place.path().join("kubeconfig"),
    );
    let settings = r#"{"psFormat": "table {{.Names}}"}"#;
    fs::write(&config, settings).unwrap();
    fs::write(&kubeconfig, OTHER).unwrap();
    let call = |arguments: &[&str]| {
        let call = scene.call(arguments).args(&["--name", scene.cluster]);
        call.env("DOCKER_CONFIG", place.path())
            .env("KUBECONFIG", &kubeconfig)
    };
    let full = fill(place.path());

    // kind would empty the kubeconfig, and could not fill it again.
    call(&["up", "--port", "5962"])
        .run()
        .exits(1)
        .says("can't write the kubeconfig ")
        .says("No space left on device")
        .says("hint: make room");
    assert_eq!(fs::read_to_string(&kubeconfig).unwrap(), OTHER);

    drop(full);
    scene.is_as_before();
    call(&["up", "--port", "5962"]).run().exits(0);
    let full = fill(place.path());
    let before = fs::read_to_string(&kubeconfig).unwrap();
    call(&["login"])
        .run()
        .exits(1)
        .says("No space left on device")
        .says("hint: make room");
    assert_eq!(fs::read_to_string(&config).unwrap(), settings);
    assert_eq!(fs::read_to_string(&kubeconfig).unwrap(), before);

    // Each file mounted by itself can't be replaced, and is written in place.
    drop(full);
    let inode = |file: &Path| fs::metadata(file).unwrap().ino();
    let (one, other) = (Mounted::itself(&config), Mounted::itself(&kubeconfig));
    let inodes = (inode(&config), inode(&kubeconfig));
    call(&["login"]).run().exits(0);
    let login = fs::read_to_string(&config).unwrap();
    assert!(login.contains(&scene.local_domain()), "{login}");

    // All else is removed, and who keeps the login has to know of it.
    let _full = fill(place.path());
    call(&["down"])
        .run()
        .exits(1)
        .prints("Removed: cluster e2e-full")
        .says("docker may still be logged in to registry.test:5962, localhost:5962")
        .says("hint: make room")
        .says("docker logout registry.test:5962; docker logout localhost:5962");
    assert_eq!(fs::read_to_string(&config).unwrap(), login);
    assert_eq!((inode(&config), inode(&kubeconfig)), inodes);
    let after = fs::read_to_string(&kubeconfig).unwrap();
    assert!(after.contains("current-context: other-context"), "{after}");
    drop((one, other));
    drop(small);
    scene.is_as_before();
}
