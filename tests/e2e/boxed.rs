//! kindreg in a container that has nothing but the engine's socket: an image without a shell, which has kindreg, kind and
//! docker.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::{Kubeconfig, Loaded, Said, Scene, attempt, docker, exec, scratch, setting};

/// The image that `bed load kindreg` makes, as the Dockerfile does.
const IMAGE: &str = "kindreg:test";

/// A user whose machine has docker alone. The home, with docker's login and the kubeconfig, is a volume.
struct Boxed<'a> {
    scene: &'a Scene,
    home: String,
    job: String,
}

impl<'a> Boxed<'a> {
    #[track_caller]
    fn new(scene: &'a Scene) -> Self {
        let (home, job) = (
            format!("{0}-home", scene.cluster),
            format!("{0}-job", scene.cluster),
        );
        docker(&["volume", "create", &home]);
        Self { scene, home, job }
    }

    /// Runs a program of the image in a container with these options.
    #[track_caller]
    fn run(&self, options: &[&str], program: &str, arguments: &[&str]) -> Said {
        let host = setting("DOCKER_HOST");
        let socket = format!(
            "{}:/var/run/docker.sock",
            host.trim_start_matches("unix://")
        );
        let home = format!("{}:/root", self.home);
        let mut words = vec!["run", "-v", &socket, "-v", &home];
        for name in ["KINDREG_IMAGE", "KINDREG_REGISTRY_IMAGE"] {
            words.extend(["-e", name]);
        }
        words.extend(options);
        words.extend(["--entrypoint", program, IMAGE]);
        attempt("docker", &[&words, arguments].concat())
    }

    /// Runs kindreg for this cluster in a container of its own, and expects this text.
    #[track_caller]
    fn kindreg(&self, arguments: &[&str], text: &str) {
        let name = ["--name", self.scene.cluster];
        let said = self.run(&["--rm"], "kindreg", &[arguments, &name].concat());
        let all = said.all();
        assert!(said.ok && all.contains(text), "no {text:?}:\n{all}");
    }
}

impl Drop for Boxed<'_> {
    fn drop(&mut self) {
        attempt("docker", &["rm", "-f", &self.job]);
        attempt("docker", &["volume", "rm", &self.home]);
    }
}

#[test]
#[ignore = "builds kindreg once more: make soak"]
fn a_container_with_the_socket_alone_does_it_all() {
    let _loaded = Loaded::kindreg();
    let scene = Scene::new("e2e-boxed", 5994, Kubeconfig::Absent);
    let boxed = Boxed::new(&scene);
    let port = scene.port.to_string();
    boxed.kindreg(
        &["up", "--port", &port],
        "Ready: 1 node of cluster e2e-boxed pulled from registry.test:5994 over verified TLS",
    );
    scene.has_nodes(1);

    boxed.kindreg(&["login"], &scene.local_domain());
    let image = format!("{}/e2e/app:1", scene.local_domain());
    docker(&["tag", &setting("KINDREG_REGISTRY_IMAGE"), &image]);
    boxed.run(&["--rm"], "docker", &["push", &image]).good();
    docker(&["image", "rm", &image]);
    boxed.kindreg(&["verify"], "proven");
    boxed.kindreg(&["status"], "is ready");
    kubectl_on_the_engine_s_host(&boxed);
    kubectl_in_a_job(&boxed);

    boxed.kindreg(&["down"], "Removed: cluster e2e-boxed");
    drop(boxed);
    scene.is_as_before();
}

#[test]
#[ignore = "builds kindreg once more: make soak"]
fn ctrl_c_in_a_container_leaves_nothing() {
    let _loaded = Loaded::kindreg();
    let scene = Scene::new("e2e-boxed", 5994, Kubeconfig::Absent);
    let boxed = Boxed::new(&scene);
    let port = scene.port.to_string();
    let up = ["up", "--name", scene.cluster, "--port", &port];
    boxed
        .run(&["-d", "--name", &boxed.job], "kindreg", &up)
        .good();
    let (plane, begun) = (format!("{}-control-plane", scene.cluster), Instant::now());
    while !attempt("docker", &["inspect", &plane]).ok {
        assert!(begun.elapsed() < Duration::from_secs(60), "no node");
        std::thread::sleep(Duration::from_millis(100));
    }
    // kindreg is process 1 there, whose signals have no default action.
    docker(&["kill", "-s", "INT", &boxed.job]);
    assert_eq!(docker(&["wait", &boxed.job]), "130\n");
    drop(boxed);
    scene.is_as_before();
}

/// The nodes, as kubectl in a container with these options says them.
#[track_caller]
fn kubectl(options: &[&str]) -> String {
    let image = setting("KINDREG_IMAGE");
    let asked = [
        "--entrypoint",
        "kubectl",
        &image,
        "get",
        "nodes",
        "-o",
        "name",
    ];
    docker(&[&["run", "--rm"], options, &asked].concat())
}

/// With the kubeconfig that kind in a container prints.
#[track_caller]
fn kubectl_on_the_engine_s_host(boxed: &Boxed<'_>) {
    let get = ["get", "kubeconfig", "--name", boxed.scene.cluster];
    let folder = scratch();
    let file = folder.path().join("config");
    fs::write(&file, boxed.run(&["--rm"], "kind", &get).good()).unwrap();
    let mount = format!("{}:/config:ro", file.display());
    let nodes = kubectl(&[
        "--network",
        "host",
        "-v",
        &mount,
        "-e",
        "KUBECONFIG=/config",
    ]);
    assert_eq!(
        nodes,
        format!("node/{}-control-plane\n", boxed.scene.cluster)
    );
}

/// In a container that stays, such as a job of a CI, with the commands that `up` prints there.
#[track_caller]
fn kubectl_in_a_job(boxed: &Boxed<'_>) {
    let (cluster, job) = (boxed.scene.cluster, &*boxed.job);
    boxed
        .run(&["-d", "--name", job], "docker", &["events"])
        .good();
    let said = exec(job, &["kindreg", "up", "--name", cluster]);
    let lines = said.lines();
    let mut commands =
        lines.filter_map(|line| line.split_once("Before you use kubectl here, run: "));
    let (_, commands) = commands
        .next()
        .unwrap_or_else(|| panic!("no command: {said}"));
    for command in commands.split(" && ") {
        let words: Vec<&str> = command.split(' ').collect();
        exec(job, &words);
    }
    let (network, home) = (format!("container:{job}"), format!("{}:/root", boxed.home));
    let nodes = kubectl(&["--network", &network, "-v", &home]);
    assert_eq!(nodes, format!("node/{cluster}-control-plane\n"));
    exec(
        job,
        &[
            "docker",
            "network",
            "disconnect",
            &format!("kindreg-{cluster}"),
            job,
        ],
    );
}
