//! What is not ours, although it has our names or our labels.

use std::collections::BTreeMap;

use kindreg::errors::Exit;
use kindreg::internal::docker::{ContainerSpec, Docker, NetworkMode};
use kindreg::internal::engine::Outcome;
use kindreg::internal::hints;
use kindreg::internal::kind::Kind;
use kindreg::ops::{self, Nobody, UpOptions};

use crate::walk::container;
use crate::world::{NODE_IMAGE, World};

const HOSTING: &str = "/api/v1/namespaces/kube-public/configmaps/local-registry-hosting";

/// A world that is up, whose cluster the user has deleted and created again without kindreg.
async fn replaced() -> World {
    let world = World::new();
    world.up().await.unwrap();
    world.kind.delete("c").await.unwrap();
    let config = format!("nodes:\n- role: control-plane\n  image: {NODE_IMAGE}\n");
    let mut creation = world.kind.create("c", "kind", &config, &[]).await.unwrap();
    creation.finished().await.unwrap();
    let theirs = world.docker.files("c-control-plane");
    let hosts = "/etc/containerd/certs.d/registry.test:5001/hosts.toml";
    theirs.write(hosts, 0o644, "theirs").unwrap();
    let object = serde_json::json!({"data": {"host": "theirs"}});
    world.kube.set(HOSTING, Some(object));
    world
}

/// The calls since then that reach into nodes or ask the Kubernetes API.
fn intrusions(world: &World, since: usize) -> Vec<String> {
    let calls = world.docker.call_log().split_off(since).into_iter();
    let reaches = |call: &String| {
        let verbs = ["download", "upload", "exec", "logs"];
        let node = verbs
            .iter()
            .any(|verb| call.starts_with(&format!("{verb} c-")));
        node || call.starts_with("kube ") || call.starts_with("kind ")
    };
    calls.filter(reaches).collect()
}

#[tokio::test]
async fn a_cluster_of_somebody_elses_is_neither_read_nor_written() {
    for command in [
        "up", "dry-run", "status", "verify", "secret", "rotate", "env",
    ] {
        let world = replaced().await;
        let node = world.docker.files("c-control-plane").all("/");
        let since = world.docker.calls();
        let (client, cluster) = (world.client(), &world.spec.cluster);
        let request = crate::json::request(&world);
        let ended = match command {
            "up" => {
                let options = UpOptions::default();
                ops::up(&client, &request, &options, &Nobody)
                    .await
                    .map(drop)
            }
            "dry-run" => {
                let preview = ops::preview(&client, &request, ops::Verify::EveryNode).await;
                preview.map(drop)
            }
            "status" => ops::status(&client, &request).await.map(drop),
            "verify" => ops::verify(&client, cluster, ops::Negative::Proven)
                .await
                .map(drop),
            "secret" => {
                let options = ops::SecretOptions {
                    namespaces: ops::Namespaces::All,
                    name: "kindreg".parse().unwrap(),
                    accounts: Vec::new(),
                };
                ops::secret(&client, cluster, &options).await.map(drop)
            }
            "rotate" => ops::rotate(&client, cluster).await,
            _ => {
                let options = ops::EnvOptions {
                    format: ops::Format::Shell,
                    prefix: None,
                    secrets: ops::Secrets::Masked,
                };
                ops::env(&client, cluster, &options).await.map(drop)
            }
        };
        let error = ended.expect_err(command);
        assert_eq!(hints::exit(&error), Exit::Foreign, "{command}: {error:#}");
        assert_eq!(intrusions(&world, since), Vec::<String>::new(), "{command}");
        assert_eq!(
            world.docker.files("c-control-plane").all("/"),
            node,
            "{command}"
        );
    }
}

#[tokio::test]
async fn down_gives_back_what_is_ours_and_leaves_their_cluster_alone() {
    for pruned in [false, true] {
        let world = replaced().await;
        let kubeconfig = world.home.path().join(".kube/config");
        std::fs::create_dir_all(world.home.path().join(".kube")).unwrap();
        let theirs = "contexts:\n- {name: kind-c, context: {}}\ncurrent-context: kind-c\n";
        std::fs::write(&kubeconfig, theirs).unwrap();
        if pruned {
            world.docker.prune_system();
        }
        let node = world.docker.files("c-control-plane").all("/");
        let since = world.docker.calls();
        let removed = ops::down(&world.client(), &world.spec.cluster).await;
        let removed = removed.unwrap();
        let failure = removed.failure.unwrap();
        assert_eq!(hints::exit(&failure), Exit::Foreign, "{failure:#}");
        assert!(
            failure.to_string().contains("is left as it is"),
            "{failure:#}"
        );
        assert!(removed.report.changed);
        assert_eq!(intrusions(&world, since), Vec::<String>::new());
        assert_eq!(world.docker.files("c-control-plane").all("/"), node);
        assert_eq!(std::fs::read_to_string(&kubeconfig).unwrap(), theirs);
        assert_eq!(world.left().await, Vec::<String>::new());
        let again = ops::down(&world.client(), &world.spec.cluster)
            .await
            .unwrap();
        assert!(!again.report.changed && again.failure.is_none());
        assert_eq!(ops::list(&world.client()).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_node_of_somebody_elses_in_our_cluster_stops_everything_with_its_name() {
    let world = World::new();
    world.up().await.unwrap();
    world
        .kind
        .join("c", "c-worker3", NODE_IMAGE, "kind")
        .unwrap();
    let before = world.docker.journal();
    let down = ops::down(&world.client(), &world.spec.cluster)
        .await
        .map(drop);
    let status = ops::status(&world.client(), &crate::json::request(&world)).await;
    for error in [
        down.unwrap_err(),
        status.unwrap_err(),
        world.up().await.unwrap_err(),
    ] {
        assert_eq!(hints::exit(&error), Exit::Foreign, "{error:#}");
        let text = format!("{error:#}");
        assert!(
            text.contains("not on network kindreg-c: c-worker3"),
            "{text}"
        );
    }
    let lock = |effect: &String| !effect.contains("kindreg-c-lock");
    let after: Vec<String> = world.docker.journal().into_iter().filter(lock).collect();
    let before: Vec<String> = before.into_iter().filter(lock).collect();
    assert_eq!(after, before);
    // As the hint says.
    world
        .docker
        .connect("kindreg-c", "c-worker3", &[])
        .await
        .unwrap();
    world.up().await.unwrap();
    ops::down(&world.client(), &world.spec.cluster)
        .await
        .unwrap();
    assert_eq!(world.left().await, Vec::<String>::new());
}

/// A container that somebody started from an image.
fn started_from(name: &str, image: &str) -> ContainerSpec {
    ContainerSpec {
        image: image.to_owned(),
        ..container(name)
    }
}

#[tokio::test]
async fn labels_that_come_from_an_image_make_nothing_ours() {
    let world = World::new();
    world.up().await.unwrap();
    let theirs = [
        "mine",
        "kindreg-c-mine",
        "kindreg-c-host",
        "kindreg-c-cache",
    ];
    for (number, of) in ["kindreg-c-registry", "kindreg-c"].into_iter().enumerate() {
        let image = format!("committed:{number}");
        world.docker.commit(of, &image);
        for name in theirs {
            let name = format!("{name}{number}");
            world
                .docker
                .create(&started_from(&name, &image))
                .await
                .unwrap();
            world.docker.start(&name).await.unwrap();
        }
    }
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
    assert_eq!(ops::list(&world.client()).await.unwrap().len(), 1);
    ops::down(&world.client(), &world.spec.cluster)
        .await
        .unwrap();
    assert_eq!(world.left().await, Vec::<String>::new());
    for name in theirs {
        for number in 0..2 {
            let found = world.docker.container(&format!("{name}{number}")).await;
            assert!(found.unwrap().is_some(), "{name}{number}");
        }
    }
    assert_eq!(ops::clusters(&world.client()).await.unwrap(), []);
    assert_eq!(ops::list(&world.client()).await.unwrap(), []);

    // One with exactly our name is in the way, and is named.
    world.docker.commit("mine0", "again");
    let name = "kindreg-c-registry";
    world
        .docker
        .create(&started_from(name, "again"))
        .await
        .unwrap();
    let error = world.up().await.unwrap_err();
    assert_eq!(hints::exit(&error), Exit::Foreign, "{error:#}");
    assert!(world.docker.container(name).await.unwrap().is_some());
}

#[tokio::test]
async fn a_registry_whose_image_was_committed_from_one_of_ours_is_ours() {
    let mut world = World::new();
    world.up().await.unwrap();
    world.docker.commit("kindreg-c-registry", "committed:1");
    let image = "committed:1".parse().unwrap();
    crate::world::distribution(&mut world.spec.registries[0]).image = image;
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
    ops::down(&world.client(), &world.spec.cluster)
        .await
        .unwrap();
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn our_label_on_something_with_another_name_makes_it_not_ours() {
    let world = World::new();
    world.up().await.unwrap();
    let labels = BTreeMap::from([
        ("dev.kindreg.cluster".to_owned(), "c".to_owned()),
        ("dev.kindreg.mode".to_owned(), "owned".to_owned()),
    ]);
    for name in ["other", "c", "kindreg-cc", "kindreg"] {
        let labels = labels.clone();
        let spec = ContainerSpec {
            labels: labels.clone(),
            ..container(name)
        };
        world.docker.create(&spec).await.unwrap();
        let name = name.to_owned();
        let volume = kindreg::internal::docker::Volume { name, labels };
        world.docker.create_volume(&volume).await.unwrap();
    }
    ops::down(&world.client(), &world.spec.cluster)
        .await
        .unwrap();
    assert_eq!(world.left().await, Vec::<String>::new());
    for name in ["other", "c", "kindreg-cc", "kindreg"] {
        assert!(
            world.docker.container(name).await.unwrap().is_some(),
            "{name}"
        );
        assert!(world.docker.volume(name).await.unwrap().is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_lock_of_somebody_elses_is_not_waited_for() {
    let world = World::new();
    world.up().await.unwrap();
    world.docker.commit("kindreg-c-registry", "committed");
    let lock = ContainerSpec {
        network: NetworkMode::None,
        ..started_from("kindreg-c-lock", "committed")
    };
    world.docker.create(&lock).await.unwrap();
    let error = ops::down(&world.client(), &world.spec.cluster).await;
    let error = error.map(drop).unwrap_err();
    assert_eq!(hints::exit(&error), Exit::Foreign, "{error:#}");
}
