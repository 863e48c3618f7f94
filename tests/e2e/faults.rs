//! What goes wrong before or while a cluster is made: one clear message, the right exit code, and nothing left.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::support::{Kubeconfig, Machine, Scene, attempt, docker, docker_lines, nodes};

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
            .says("hint: start it");
    }
    scene.is_as_before();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn without_kind_or_docker_on_path_it_says_which() {
    let scene = Scene::new("e2e-no-kind", 5911, Kubeconfig::Other);
    let path = scene.scratch();
    let link = |program: &str| symlink(found(program), path.path().join(program)).unwrap();
    link("docker");
    let up = || scene.up(&[]).env("PATH", path.path()).run().exits(1);
    up().says("kind is not on PATH")
        .says("hint: install it: https://kind.sigs.k8s.io");
    fs::remove_file(path.path().join("docker")).unwrap();
    link("kind");
    up().says("docker is not on PATH").says("hint: ");
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
    let squatter = Foreign::container("e2e-squatter", &["-p", &publish]);
    docker(&["start", &squatter.name]);
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
            "port {} of the engine's host is taken",
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
        .says("is taken");
    drop(taken);
    let kept = Machine::snapshot(scene.home());
    for other in [["--workers", "1"], ["--host", "other.test"]] {
        scene
            .up(&other)
            .run()
            .exits(1)
            .says("cluster e2e-wreck was made with other settings")
            .says("hint: give the same settings again, or make it anew: kindreg down --name e2e-wreck");
    }
    Machine::snapshot(scene.home()).is_as(&kept);
    scene
        .down()
        .run()
        .exits(0)
        .prints("Removed: cluster e2e-wreck");
    scene.is_as_before();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_kind_cluster_of_somebody_elses_is_left_alone() {
    let scene = Scene::new("e2e-foreign", 5915, Kubeconfig::Other);
    let image = std::env::var("KINDREG_IMAGE").unwrap();
    let kubeconfig = scene.home().join(".kube/config");
    let kind = |arguments: &[&str]| {
        let kubeconfig = ["--kubeconfig", kubeconfig.to_str().unwrap()];
        attempt(
            "kind",
            &[arguments, &["--name", scene.cluster], &kubeconfig].concat(),
        )
        .good()
    };
    let network_was_there =
        !docker_lines(&["network", "ls", "-q", "--filter", "name=^kind$"]).is_empty();
    kind(&["create", "cluster", "--image", &image]);
    let before = Machine::snapshot(scene.home());
    scene
        .up(&[])
        .run()
        .exits(4)
        .says("there is a kind cluster e2e-foreign that kindreg did not make")
        .says("kind delete cluster --name e2e-foreign");
    Machine::snapshot(scene.home()).is_as(&before);
    // Nothing of kindreg's is there, so there is nothing to do.
    scene.down().run().exits(0).prints("Nothing to do");
    Machine::snapshot(scene.home()).is_as(&before);
    assert_eq!(nodes(scene.cluster).len(), 1);
    kind(&["delete", "cluster"]);
    if !network_was_there {
        attempt("docker", &["network", "rm", "kind"]);
    }
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_container_network_or_volume_of_somebody_elses_is_left_alone() {
    let scene = Scene::new("e2e-names", 5916, Kubeconfig::Other);
    let things = [
        (
            "container kindreg-e2e-names",
            Foreign::container as fn(&str, &[&str]) -> Foreign,
            "kindreg-e2e-names",
        ),
        (
            "container kindreg-e2e-names-registry",
            Foreign::container,
            "kindreg-e2e-names-registry",
        ),
        (
            "network kindreg-e2e-names",
            Foreign::network,
            "kindreg-e2e-names",
        ),
        (
            "volume kindreg-e2e-names-registry-secret",
            Foreign::volume,
            "kindreg-e2e-names-registry-secret",
        ),
        (
            "volume kindreg-e2e-names-registry-data",
            Foreign::volume,
            "kindreg-e2e-names-registry-data",
        ),
    ];
    for (what, make, name) in things {
        let thing = make(name, &[]);
        let before = Machine::snapshot(scene.home());
        scene
            .up(&[])
            .run()
            .exits(4)
            .says(&format!("there is a {what} that kindreg did not make"))
            .says("hint: ");
        Machine::snapshot(scene.home()).is_as(&before);
        // With no record there is nothing of ours; the record's own name is the one that `down` looks for.
        let code = if name == "kindreg-e2e-names" && what.starts_with("container") {
            4
        } else {
            0
        };
        scene.down().run().exits(code);
        Machine::snapshot(scene.home()).is_as(&before);
        drop(thing);
    }
    scene.is_as_before();
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
            .says("image 127.0.0.1:1/absent:1 is not to be had")
            .says("docker load -i FILE");
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
        .says("ghcr.io:5919 may be somebody's real registry")
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
        .says("hint: make it: kindreg up --name e2e-nothing");
    scene.is_as_before();
}

/// A thing of the engine that kindreg did not make; it goes when dropped.
struct Foreign {
    name: String,
    removal: &'static [&'static str],
}

impl Foreign {
    /// A container that is not started.
    fn container(name: &str, options: &[&str]) -> Self {
        let image = std::env::var("KINDREG_REGISTRY_IMAGE").unwrap();
        docker(&[&["create", "--name", name], options, &[&image]].concat());
        Self::of(name, &["rm", "-f", "-v"])
    }

    fn network(name: &str, _: &[&str]) -> Self {
        docker(&["network", "create", name]);
        Self::of(name, &["network", "rm"])
    }

    fn volume(name: &str, _: &[&str]) -> Self {
        docker(&["volume", "create", name]);
        Self::of(name, &["volume", "rm"])
    }

    fn of(name: &str, removal: &'static [&'static str]) -> Self {
        let name = name.to_owned();
        Self { name, removal }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        attempt("docker", &[self.removal, &[&self.name]].concat());
    }
}
