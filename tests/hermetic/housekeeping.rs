//! What others do to the engine while a cluster is up: prune, commit, remove. Nothing that is to be kept gets lost, and
//! nothing of theirs is touched.

use kindreg::errors::Exit;
use kindreg::internal::docker::fake::FakeFiles;
use kindreg::internal::docker::{Docker, ExecOutput, Volume};
use kindreg::internal::engine::Outcome;
use kindreg::internal::hints;
use kindreg::internal::kind::Kind;
use kindreg::internal::observe::recorded;
use kindreg::ops;
use kindreg::report::Condition;
use kindreg::spec::{Data, ImageRef};

use crate::world::{World, distribution};

/// A world that is up; its user has a kubeconfig with a context of somebody else's.
async fn up() -> World {
    let world = World::new();
    world.up().await.unwrap();
    world
}

/// The cluster as `list` shows it.
async fn listed(world: &World) -> Vec<(String, Vec<String>, usize, Option<String>)> {
    let entries = ops::list(&world.client()).await.unwrap().into_iter();
    let shown = entries.map(|it| (it.cluster, it.registries, it.running, it.problem));
    shown.collect()
}

/// The volumes of the registry's data that are there.
async fn data(world: &World) -> Vec<String> {
    let volumes = world.left().await.into_iter();
    volumes.filter(|it| it.ends_with("-data")).collect()
}

type Prune = (&'static str, fn(&World));

fn prunes() -> [Prune; 2] {
    [
        ("container prune", |world| world.docker.prune_containers()),
        ("system prune", |world| world.docker.prune_system()),
    ]
}

#[tokio::test]
async fn prune_takes_the_record_and_nothing_is_lost() {
    for (name, prune) in prunes() {
        let world = up().await;
        prune(&world);
        let record = world.docker.container("kindreg-c").await.unwrap();
        assert_eq!(record, None, "{name}");
        let read = recorded(&*world.docker, &world.spec.cluster).await.unwrap();
        assert_eq!(read.unwrap().current, world.spec, "{name}");
        let domain = vec!["registry.test:5001".to_owned()];
        let entry = ("c".to_owned(), domain, 3, None);
        assert_eq!(listed(&world).await, [entry], "{name}");

        let found = ops::status(&world.client(), &crate::json::request(&world)).await;
        let found = found.unwrap();
        let missing = found.parts.iter().filter(|it| it.state != Condition::Ready);
        let missing: Vec<&str> = missing.map(|it| it.id.as_str()).collect();
        assert!(missing.contains(&"cluster.record"), "{name}: {missing:?}");
        assert!(!missing.contains(&"node.trust"), "{name}: {missing:?}");

        assert_eq!(world.up().await.unwrap(), Outcome::Changed, "{name}");
        assert_eq!(world.up().await.unwrap(), Outcome::Unchanged, "{name}");
        assert!(world.docker.container("kindreg-c").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn down_after_prune_gives_everything_back() {
    for (name, prune) in prunes() {
        for repaired in [false, true] {
            let world = World::new();
            let host = world.docker.host().all("/");
            let kubeconfig = world.home.path().join(".kube/config");
            std::fs::create_dir(world.home.path().join(".kube")).unwrap();
            let context = "contexts:\n- {name: mine, context: {}}\ncurrent-context: mine\n";
            std::fs::write(&kubeconfig, context).unwrap();
            world.up().await.unwrap();
            std::fs::write(&kubeconfig, context.replace(": mine\n", ": kind-c\n")).unwrap();
            prune(&world);
            if repaired {
                world.up().await.unwrap();
            }
            let removed = ops::down(&world.client(), &world.spec.cluster).await;
            let removed = removed.unwrap();
            assert!(removed.failure.is_none(), "{name}: {:?}", removed.failure);
            assert!(removed.report.changed, "{name}");
            assert_eq!(world.left().await, Vec::<String>::new(), "{name}");
            assert_eq!(world.docker.host().all("/"), host, "{name}");
            let now = std::fs::read_to_string(&kubeconfig).unwrap();
            assert_eq!(
                now, context,
                "{name}: what the record restores is in its copy"
            );
        }
    }
}

#[tokio::test]
async fn data_that_are_to_be_kept_survive_prune_and_down() {
    for (name, prune) in prunes() {
        let mut world = World::new();
        world.up().await.unwrap();
        // Wanted later: the volume was made for data that go.
        distribution(&mut world.spec.registries[0]).data = Data::Keep;
        world.up().await.unwrap();
        prune(&world);
        let removed = ops::down(&world.client(), &world.spec.cluster).await;
        let kept = ["volume kindreg-c-registry-data"];
        assert_eq!(removed.unwrap().report.kept, kept, "{name}");
        assert_eq!(world.left().await, kept, "{name}");
        for _ in 0..2 {
            let again = ops::down(&world.client(), &world.spec.cluster).await;
            let again = again.unwrap().report;
            assert!(!again.changed, "{name}: there is nothing to do");
            assert_eq!(again.kept, kept, "{name}");
        }
        assert_eq!(listed(&world).await, [], "{name}: data are no cluster");
        let clusters = ops::clusters(&world.client()).await.unwrap();
        assert_eq!(clusters, [], "{name}: nothing for `down --all`");
    }
}

/// Ends the containers of the cluster, as a shutdown does.
fn stop_all(world: &World) {
    for container in [
        "c-control-plane",
        "c-worker",
        "c-worker2",
        "kindreg-c-registry",
    ] {
        world.docker.end_process(container, 137);
    }
}

#[tokio::test]
async fn a_cluster_that_is_stopped_and_pruned_keeps_its_data() {
    for (keep, left) in [(Data::Keep, 1), (Data::Discard, 0)] {
        let mut world = World::new();
        let host = world.docker.host().all("/");
        world.up().await.unwrap();
        distribution(&mut world.spec.registries[0]).data = keep;
        world.up().await.unwrap();
        stop_all(&world);
        world.docker.prune_system();
        // The volumes are left, and the images are gone.
        assert_eq!(listed(&world).await.len(), 1);
        let removed = ops::down(&world.client(), &world.spec.cluster).await;
        let removed = removed.unwrap();
        assert!(removed.failure.is_none(), "{:?}", removed.failure);
        assert_eq!(data(&world).await.len(), left);
        assert_eq!(world.left().await.len(), left);
        assert_eq!(world.docker.host().all("/"), host, "its CA on the host too");
        for image in ["kindest/node:v1.34.4", "registry:3"] {
            let image = world.docker.image(image).await.unwrap();
            assert_eq!(image, None, "an image that was pulled to clean up goes too");
        }
    }
}

#[tokio::test]
async fn without_an_image_down_keeps_the_data_and_says_what_it_could_not_remove() {
    let world = up().await;
    stop_all(&world);
    world.docker.prune_system();
    for image in [ImageRef::node(), ImageRef::registry()] {
        world.docker.refuse_image(image.as_str());
    }
    let removed = ops::down(&world.client(), &world.spec.cluster).await;
    let removed = removed.unwrap();
    let failure = removed.failure.unwrap();
    assert!(
        format!("{failure:#}").contains("may still trust"),
        "{failure:#}"
    );
    let hint = hints::hint(&failure).unwrap();
    assert!(
        hint.contains("rm -f /etc/docker/certs.d/*/kindreg-c.crt"),
        "{hint}"
    );
}

#[tokio::test]
async fn down_runs_nothing_in_an_image_without_a_shell() {
    let world = up().await;
    let host = world.docker.host();
    world.kind.delete("c").await.unwrap();
    world.docker.prune_system();
    // The registry runs, and nothing else is there. Its image may have no shell.
    let none = |_: &mut FakeFiles, _: &[String], _: &[u8]| ExecOutput {
        code: 127,
        stdout: Vec::new(),
        stderr: b"exec: \"sh\": executable file not found in $PATH".to_vec(),
    };
    world.docker.on_script("kindreg-try", none);
    let removed = ops::down(&world.client(), &world.spec.cluster).await;
    let removed = removed.unwrap();
    assert!(removed.failure.is_none(), "{:?}", removed.failure);
    assert_eq!(world.left().await, Vec::<String>::new());
    assert_eq!(host.list("/etc/docker"), Vec::<String>::new());
    let pulled = world.docker.journal().into_iter();
    let pulled: Vec<String> = pulled.filter(|it| it.starts_with("pull ")).collect();
    assert_eq!(pulled, ["pull kindest/node:v1.34.4"]);
}

#[tokio::test]
async fn data_of_a_registry_that_is_no_longer_asked_for_stay() {
    let mut world = World::with_mirrors();
    for registry in &mut world.spec.registries {
        distribution(registry).data = Data::Keep;
    }
    world.up().await.unwrap();
    ops::down(&world.client(), &world.spec.cluster)
        .await
        .unwrap();
    assert_eq!(data(&world).await.len(), 3);
    world.spec.registries.truncate(1);
    distribution(&mut world.spec.registries[0]).data = Data::Discard;
    world.up().await.unwrap();
    let removed = ops::down(&world.client(), &world.spec.cluster).await;
    assert_eq!(removed.unwrap().report.kept.len(), 2);
    let kept = ["volume kindreg-c-any-data", "volume kindreg-c-cache-data"];
    assert_eq!(world.left().await, kept);
}

#[tokio::test]
async fn volumes_that_a_killed_up_left_say_themselves_that_they_go() {
    let world = up().await;
    let volume = world.docker.volume("kindreg-c-registry-data").await;
    let labels = volume.unwrap().unwrap().labels;
    assert_eq!(labels["dev.kindreg.data"], "discard");
    // As a killed `up` leaves them, of which prune took everything else.
    let killed = World::new();
    for (name, label) in [("secret", None), ("data", Some("discard"))] {
        let mut labels = labels.clone();
        labels.remove("dev.kindreg.data");
        labels.extend(label.map(|label| ("dev.kindreg.data".to_owned(), label.to_owned())));
        let name = format!("kindreg-c-registry-{name}");
        let volume = Volume { name, labels };
        killed.docker.create_volume(&volume).await.unwrap();
    }
    let removed = ops::down(&killed.client(), &killed.spec.cluster).await;
    assert!(removed.unwrap().report.changed);
    assert_eq!(killed.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn down_looks_again_and_names_what_is_still_there() {
    let world = up().await;
    world.docker.keep("kindreg-c-registry");
    let error = ops::down(&world.client(), &world.spec.cluster).await;
    let error = error.map(drop).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("kindreg-c-registry"), "{text}");
    let removed = ops::down(&world.client(), &world.spec.cluster).await;
    let text = format!("{:#}", removed.map(drop).unwrap_err());
    assert!(
        text.contains("kindreg-c-registry"),
        "nor does it lie later: {text}"
    );
}

#[tokio::test]
async fn a_container_that_down_could_not_remove_is_named() {
    let world = up().await;
    // No step but the sweep knows it.
    let mut left = crate::walk::container("kindreg-c-host");
    left.labels = [("dev.kindreg.cluster".to_owned(), "c".to_owned())].into();
    world.docker.create(&left).await.unwrap();
    world.docker.keep("kindreg-c-host");
    let error = ops::down(&world.client(), &world.spec.cluster).await;
    let error = error.map(drop).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "still there: container kindreg-c-host"
    );
    assert_eq!(hints::hint(&error).unwrap(), "run: kindreg down --name c");
}

#[tokio::test]
async fn a_cluster_without_record_and_copies_is_listed_and_not_called_absent() {
    let world = World::new();
    // Where there is no note of who made these folders, they stay.
    let host = world.docker.host();
    host.make_dir("/etc/docker/certs.d", 0o755).unwrap();
    let host = host.all("/");
    world.up().await.unwrap();
    for (container, path) in [
        ("kindreg-c-registry", "/kindreg/secret/record.json"),
        ("c-control-plane", "/var/lib/kindreg/record.json"),
    ] {
        assert!(world.docker.files(container).remove(path), "{container}");
    }
    world.docker.prune_containers();
    let problem = Some("its record is missing".to_owned());
    assert_eq!(
        listed(&world).await,
        [("c".to_owned(), Vec::new(), 3, problem)]
    );
    let error = ops::login(&world.client(), &world.spec.cluster).await;
    let error = error.unwrap_err();
    assert_eq!(error.to_string(), "the record of cluster c is missing");
    assert_eq!(hints::exit(&error), Exit::NotReady);
    ops::down(&world.client(), &world.spec.cluster)
        .await
        .unwrap();
    assert_eq!(listed(&world).await, []);
    assert_eq!(world.docker.host().all("/"), host);
}

#[tokio::test]
async fn one_copy_is_enough_and_a_damaged_one_is_passed_over() {
    let copies = [
        ("kindreg-c-registry", "/kindreg/secret/record.json"),
        ("c-control-plane", "/var/lib/kindreg/record.json"),
    ];
    for (container, path) in copies {
        for damage in ["", "{", "[]", "{\"version\": 2, \"current\""] {
            let world = up().await;
            let files = world.docker.files(container);
            files.write(path, 0o600, damage).unwrap();
            world.docker.prune_containers();
            let read = recorded(&*world.docker, &world.spec.cluster).await;
            assert_eq!(
                read.unwrap().unwrap().current,
                world.spec,
                "{container}: {damage:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_copy_follows_every_change_of_settings() {
    let mut world = up().await;
    world.spec.registries[0].port = kindreg::spec::Port::new(5002).unwrap();
    world.spec.registries[0].host = "other.test".parse().unwrap();
    world.up().await.unwrap();
    let host = world.docker.host();
    assert!(
        host.read("/etc/docker/certs.d/other.test:5002/kindreg-c.crt")
            .is_some()
    );
    world.docker.prune_system();
    let read = recorded(&*world.docker, &world.spec.cluster).await.unwrap();
    let read = read.unwrap();
    assert_eq!(
        (read.current, read.earlier),
        (world.spec.clone(), Vec::new())
    );
    ops::down(&world.client(), &world.spec.cluster)
        .await
        .unwrap();
    assert_eq!(world.left().await, Vec::<String>::new());
    assert_eq!(host.list("/etc/docker/certs.d"), Vec::<String>::new());
}
