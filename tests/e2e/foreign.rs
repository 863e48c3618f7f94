//! What kindreg did not make it does not touch: exit code 4, and how to get out of it.

use std::net::TcpListener;

use crate::support::{Kubeconfig, Machine, Scene, attempt, docker, docker_lines, nodes};

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
        .says("kind cluster e2e-foreign exists and was not created by kindreg")
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
    let (name, registry) = ("kindreg-e2e-names", "kindreg-e2e-names-registry");
    let (secret, data) = (format!("{registry}-secret"), format!("{registry}-data"));
    // Without a record nothing is ours, so `down` has nothing to do; only the record's name stands in its way.
    for (kind, name, down) in [
        ("container", name, 4),
        ("container", registry, 0),
        ("container", "kindreg-e2e-names-lock", 0),
        ("network", name, 0),
        ("volume", &secret, 0),
        ("volume", &data, 0),
    ] {
        let thing = Foreign::new(kind, name, &[]);
        let before = Machine::snapshot(scene.home());
        scene
            .up(&[])
            .run()
            .exits(4)
            .says(&format!(
                "{kind} {name} exists and was not created by kindreg"
            ))
            .says("hint: ");
        Machine::snapshot(scene.home()).is_as(&before);
        scene.down().run().exits(down);
        Machine::snapshot(scene.home()).is_as(&before);
        drop(thing);
    }
    scene.is_as_before();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn down_removes_what_is_ours_and_says_what_it_left_alone() {
    let scene = Scene::new("e2e-left", 5921, Kubeconfig::Other);
    let taken = TcpListener::bind(("127.0.0.1", scene.port)).unwrap();
    scene.up(&["--keep-on-failure"]).run().exits(1);
    drop(taken);
    docker(&["rm", "-f", &scene.registry()]);
    let volume = format!("{}-data", scene.registry());
    docker(&["volume", "rm", &volume]);
    let foreign = Foreign::new("volume", &volume, &[]);
    scene.down().run().exits(4).says(&format!(
        "volume {volume} exists and was not created by kindreg"
    ));
    assert_eq!(
        docker_lines(&["volume", "ls", "-q", "--filter", &format!("name={volume}")]),
        [volume]
    );
    drop(foreign);
    scene.down().run().exits(0);
    scene.is_as_before();
}

/// A thing of the engine that kindreg did not make; it goes when dropped.
#[derive(Debug)]
pub(crate) struct Foreign {
    kind: &'static str,
    name: String,
}

impl Foreign {
    /// A container (that is not started), a network or a volume.
    #[track_caller]
    pub(crate) fn new(kind: &'static str, name: &str, options: &[&str]) -> Self {
        let image = std::env::var("KINDREG_REGISTRY_IMAGE").unwrap();
        if kind == "container" {
            docker(&[&["create", "--name", name], options, &[&image]].concat());
        } else {
            docker(&[&[kind, "create", name], options].concat());
        }
        let name = name.to_owned();
        Self { kind, name }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let removal: &[&str] = if self.kind == "container" {
            // With the volume without a name that its image asks for.
            &["rm", "-f", "-v"]
        } else {
            &["rm"]
        };
        attempt("docker", &[&[self.kind], removal, &[&self.name]].concat());
    }
}
