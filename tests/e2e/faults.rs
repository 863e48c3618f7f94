//! What goes wrong before or while a cluster is made: one clear message, the right exit code, and nothing left.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use crate::foreign::Foreign;
use crate::support::{Kubeconfig, Machine, Scene, docker, scratch};

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn without_an_engine_it_says_how_to_get_one() {
    let scene = Scene::new("e2e-no-engine", 5910, Kubeconfig::Other);
    for command in ["up", "down", "verify"] {
        scene
            .call(&[command, "--name", scene.cluster])
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .run()
            .exits(1)
            .says("/nonexistent/docker.sock")
            .says("hint: run: sudo systemctl start docker, or start Docker Desktop");
    }
    scene.is_as_before();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn without_kind_or_docker_on_path_it_says_which() {
    let scene = Scene::new("e2e-no-kind", 5911, Kubeconfig::Other);
    let path = scratch();
    let link = |program: &str| symlink(found(program), path.path().join(program)).unwrap();
    link("docker");
    let up = || scene.up(&[]).env("PATH", path.path()).run().exits(1);
    up().says("kind is not in PATH")
        .says("hint: install kind: https://kind.sigs.k8s.io");
    fs::remove_file(path.path().join("docker")).unwrap();
    link("kind");
    up().says("docker is not in PATH").says("hint: ");
    scene.is_as_before();
}

/// Where a program lies.
fn found(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.exists()).unwrap()
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_port_that_a_process_has_is_named_and_all_is_rolled_back() {
    let scene = Scene::new("e2e-port", 5912, Kubeconfig::Other);
    let _taken = TcpListener::bind(("127.0.0.1", scene.port)).unwrap();
    port_is_taken(&scene);
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_port_that_a_container_has_is_named_and_all_is_rolled_back() {
    let scene = Scene::new("e2e-port", 5913, Kubeconfig::Absent);
    let publish = format!("127.0.0.1:{}:5000", scene.port);
    let _squatter = Foreign::new("container", "e2e-squatter", &["-p", &publish]);
    docker(&["start", "e2e-squatter"]);
    let before = Machine::snapshot(scene.home());
    port_is_taken(&scene);
    Machine::snapshot(scene.home()).is_as(&before);
}

#[track_caller]
fn port_is_taken(scene: &Scene) {
    let before = Machine::snapshot(scene.home());
    scene
        .up(&[])
        .run()
        .exits(1)
        .says(&format!(
            "port {} is in use on the engine's host",
            scene.port
        ))
        .says("--port");
    Machine::snapshot(scene.home()).is_as(&before);
    scene.no_kind_is_at_work();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_kept_wreck_is_not_mixed_with_another_request() {
    let scene = Scene::new("e2e-wreck", 5914, Kubeconfig::Other);
    let taken = TcpListener::bind(("127.0.0.1", scene.port)).unwrap();
    scene
        .up(&["--keep-on-failure"])
        .run()
        .exits(1)
        .says("is in use");
    drop(taken);
    let kept = once_it_holds_still(&scene);
    for (other, why) in [
        (
            ["--workers", "1"],
            "has 1 control plane(s) and 0 worker(s), not 1 and 1",
        ),
        (["--image", "registry:3"], ", not registry:3"),
    ] {
        scene
            .up(&other)
            .run()
            .exits(1)
            .says("cluster e2e-wreck ")
            .says(why)
            .says("kindreg down --name e2e-wreck");
    }
    Machine::snapshot(scene.home()).is_as(&kept);
    scene
        .down()
        .run()
        .exits(0)
        .prints("Removed: cluster e2e-wreck");
    scene.is_as_before();
}

/// The engine may still be making a node that kind had asked for before its end.
#[track_caller]
fn once_it_holds_still(scene: &Scene) -> Machine {
    let mut last = Machine::snapshot(scene.home());
    for _ in 0..20 {
        sleep(Duration::from_secs(3));
        let now = Machine::snapshot(scene.home());
        if now == last {
            return now;
        }
        last = now;
    }
    panic!("the wreck does not hold still");
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn an_image_that_is_not_to_be_had_ends_the_run_before_it_begins() {
    let scene = Scene::new("e2e-image", 5917, Kubeconfig::Absent);
    for flag in ["--registry-image", "--image"] {
        scene
            .up(&[flag, "127.0.0.1:1/absent:1"])
            .run()
            .exits(1)
            .says("can't pull image 127.0.0.1:1/absent:1")
            .says(
                "hint: run: docker pull 127.0.0.1:1/absent:1; or load the image from a file with docker load",
            );
        scene.is_as_before();
    }
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn hostile_arguments_are_refused_before_anything_happens() {
    let scene = Scene::new("e2e-hostile", 5918, Kubeconfig::Other);
    for arguments in [
        &["--host", "../daemon.json"][..],
        &["--host", "registry.test/../.."],
        &["--host", "-x"],
        &["--name", "-x"],
        &["--name", "../x"],
        &["--name", "x y"],
        &["--name", ""],
        &["--port", "0"],
        &["--port", "65536"],
        &["--workers", "-1"],
        &["--image", "x y"],
        &["--image", "--privileged"],
        &["--timeout", "0"],
    ] {
        // Not through `scene.up`, as a flag may be given once only.
        let up = scene.call(&["up"]).args(arguments).run();
        assert!(up.stdout.is_empty(), "{up}");
        up.exits(2);
    }
    scene.is_as_before();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_name_that_others_may_own_is_not_trusted_without_a_word() {
    let scene = Scene::new("e2e-consent", 5919, Kubeconfig::Other);
    scene
        .up(&["--host", "ghcr.io"])
        .run()
        .exits(2)
        .says("for ghcr.io:5919, which may be a public registry")
        .says("--yes");
    scene.is_as_before();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn of_nothing_there_is_nothing_to_remove_and_nothing_to_verify() {
    let scene = Scene::new("e2e-nothing", 5920, Kubeconfig::Absent);
    scene.down().run().exits(0).prints("Nothing to do");
    scene
        .verify()
        .run()
        .exits(3)
        .says("hint: run: kindreg up --name e2e-nothing, or list the clusters: kindreg list");
    scene.is_as_before();
}
