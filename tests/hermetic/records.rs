//! Records of other versions: read, or refused with the version's number; and a cluster whose record nobody can read is
//! removed all the same.

use std::collections::BTreeMap;

use kindreg::errors::hint;
use kindreg::internal::docker::{ContainerSpec, Docker};
use kindreg::internal::layout::LABEL_RECORD;
use kindreg::internal::observe::{UnknownRecord, recorded};
use kindreg::internal::problem;
use kindreg::internal::step::Step;
use kindreg::ops;
use serde_json::{Value, json};

use crate::walk::container;
use crate::world::World;

const FILE: &str = "/kindreg/record.json";

/// The record of a world that is up, with something of it changed.
async fn changed(change: impl Fn(&mut Value)) -> World {
    let world = World::new();
    world.up().await.unwrap();
    let record = world.docker.container("kindreg-c").await.unwrap().unwrap();
    let mut value: Value = serde_json::from_str(&record.labels[LABEL_RECORD]).unwrap();
    change(&mut value);
    let files = world.docker.files("kindreg-c");
    files.write(FILE, 0o644, value.to_string()).unwrap();
    world
}

#[tokio::test]
async fn a_newer_record_stops_every_command_with_its_number() {
    let world = changed(|record| record["version"] = json!(99)).await;
    let (client, cluster) = (world.client(), &world.spec.cluster);
    let before = world.docker.journal();
    let down = ops::down(&client, cluster).await.map(drop);
    let login = ops::login(&client, cluster).await.map(drop);
    let verify = ops::verify(&client, cluster, ops::Negative::LeftOut).await;
    for ended in [down, login, verify.map(drop)] {
        let error = ended.unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("version 99"), "{text}");
        assert!(hint(&error).is_some_and(|hint| hint.contains("upgrade kindreg")));
    }
    assert_eq!(world.docker.journal(), before, "nothing is touched");
}

#[tokio::test]
async fn a_record_that_was_cut_off_reads_as_it_was_first_written() {
    let world = changed(|_| {}).await;
    let files = world.docker.files("kindreg-c");
    for text in ["", "{", "{\"version\": 2, \"current\": {\"clus"] {
        files.write(FILE, 0o644, text).unwrap();
        let read = recorded(&*world.docker, &world.spec.cluster).await;
        assert_eq!(read.unwrap().unwrap().current, world.spec, "{text:?}");
    }
}

#[tokio::test]
async fn a_record_with_unknown_keys_is_unreadable_and_never_replaced_by_an_older_one() {
    for change in [
        (|record: &mut Value| record["unknown"] = json!(1)) as fn(&mut Value),
        |record| record["current"]["unknown"] = json!(1),
        |record| record["version"] = json!(1),
        |record| drop(record.as_object_mut().unwrap().remove("version")),
        |record| record["version"] = json!("2"),
        |record| *record = json!([]),
    ] {
        let world = changed(change).await;
        let error = recorded(&*world.docker, &world.spec.cluster).await;
        let error = error.unwrap_err();
        let found = problem::find::<UnknownRecord>(&error);
        assert!(
            matches!(found, Some(UnknownRecord::Unreadable { .. })),
            "{error:#}"
        );
        // Which its hint says, and which works.
        assert!(hint(&error).is_some_and(|hint| hint.contains("kindreg down --name c")));
        let client = world.client();
        let removed = ops::down(&client, &world.spec.cluster).await.unwrap();
        assert!(removed.report.changed);
        assert_eq!(world.left().await, Vec::<String>::new());
    }
}

/// A world whose settings were changed: the label has the port 5001, the file 5002.
async fn with_other_port() -> World {
    let mut world = World::new();
    world.up().await.unwrap();
    world.spec.registries[0].port = kindreg::spec::Port::new(5002).unwrap();
    world.up().await.unwrap();
    world
}

fn remove_copies(world: &World) {
    for (container, path) in [
        ("kindreg-c-registry", "/kindreg/secret/record.json"),
        ("c-control-plane", "/var/lib/kindreg/record.json"),
    ] {
        assert!(world.docker.files(container).remove(path), "{container}");
    }
}

#[tokio::test]
async fn a_file_that_is_lost_or_cut_off_is_never_replaced_by_the_older_label() {
    for text in [None, Some(""), Some("{\"version\": 2, \"curr")] {
        let world = with_other_port().await;
        let host = world.docker.host();
        let files = world.docker.files("kindreg-c");
        match text {
            None => assert!(files.remove(FILE)),
            Some(text) => files.write(FILE, 0o644, text).unwrap(),
        }
        let read = recorded(&*world.docker, &world.spec.cluster).await;
        assert_eq!(read.unwrap().unwrap().current, world.spec, "{text:?}");
        let found = ops::list(&world.client()).await.unwrap();
        assert_eq!(found[0].registries, ["registry.test:5002"], "{text:?}");
        // The next `up` writes it again.
        world.up().await.unwrap();
        remove_copies(&world);
        let read = recorded(&*world.docker, &world.spec.cluster).await;
        assert_eq!(read.unwrap().unwrap().current, world.spec, "{text:?}");

        // Without copies nobody knows, and nobody pretends to.
        if let Some(text) = text {
            files.write(FILE, 0o644, text).unwrap();
            let read = recorded(&*world.docker, &world.spec.cluster).await;
            let error = read.unwrap_err();
            let found = problem::find::<UnknownRecord>(&error);
            let unreadable = matches!(found, Some(UnknownRecord::Unreadable { .. }));
            assert!(unreadable, "{text:?}: {error:#}");
            ops::down(&world.client(), &world.spec.cluster)
                .await
                .unwrap();
            let certs = host.list("/etc/docker/certs.d");
            assert_eq!(certs, Vec::<String>::new(), "the later port's too");
        }
    }
}

#[tokio::test]
async fn a_newer_copy_is_not_read_as_an_older_one_either() {
    let world = World::new();
    world.up().await.unwrap();
    let path = "/kindreg/secret/record.json";
    let files = world.docker.files("kindreg-c-registry");
    let copy = String::from_utf8(files.read(path).unwrap()).unwrap();
    files
        .write(path, 0o600, copy.replace("\"version\":2", "\"version\":99"))
        .unwrap();
    world.docker.prune_containers();
    let before = world.docker.journal();
    let (client, cluster) = (world.client(), &world.spec.cluster);
    let down = ops::down(&client, cluster).await.map(drop);
    let status = ops::status(&client, &crate::json::request(&world)).await;
    let request = crate::json::request(&world);
    let options = ops::UpOptions::default();
    let up = ops::up(&client, &request, &options, &ops::Nobody).await;
    for ended in [down, status.map(drop), up.map(drop)] {
        let text = format!("{:#}", ended.unwrap_err());
        assert!(text.contains("version 99"), "{text}");
    }
    assert_eq!(world.docker.journal(), before, "nothing is touched");
    let listed = ops::list(&client).await.unwrap().remove(0);
    assert!(listed.problem.unwrap().contains("version 99"));
}

#[tokio::test]
async fn a_record_that_names_another_cluster_does_nothing_to_it() {
    let mut other = World::new();
    other.up().await.unwrap();
    other.spec.cluster = "d".parse().unwrap();
    let record = other.docker.container("kindreg-c").await.unwrap().unwrap();
    let label = record.labels[LABEL_RECORD].replace("\"cluster\":\"c\"", "\"cluster\":\"d\"");
    let files = other.docker.files("kindreg-c");
    files.write(FILE, 0o644, label).unwrap();
    let error = recorded(&*other.docker, &"c".parse().unwrap()).await;
    let text = format!("{:#}", error.unwrap_err());
    assert!(text.ends_with("it names cluster d"), "{text}");
}

#[tokio::test]
async fn the_folders_that_a_record_names_are_removed_only_in_certs_d() {
    let world = World::new();
    let host = world.docker.host();
    let theirs = [
        "/etc/cron.d",
        "/etc/docker/certs.d/a.test/b",
        "/etc/docker/plugins",
        "/etc/dockers",
    ];
    for folder in theirs {
        host.make_dir(folder, 0o755).unwrap();
    }
    let before = host.all("/");
    world.up().await.unwrap();
    let note = "/kindreg/originals/host-folders.json";
    let mut folders: Vec<String> = theirs.iter().map(|it| format!("/host{it}")).collect();
    folders.extend(["/host/etc/docker/certs.d/..", "/host", "/", "etc"].map(str::to_owned));
    let files = world.docker.files("kindreg-c");
    let noted: Vec<String> = serde_json::from_slice(&files.read(note).unwrap()).unwrap();
    let ours = ["localhost:5001", "registry.test:5001"];
    let ours = ours.map(|domain| format!("/host/etc/docker/certs.d/{domain}"));
    assert_eq!(noted, ours);
    folders.extend(noted);
    let text = serde_json::to_string(&folders).unwrap();
    files.write(note, 0o644, text).unwrap();
    ops::down(&world.client(), &world.spec.cluster)
        .await
        .unwrap();
    assert_eq!(host.all("/"), before);
}

#[tokio::test]
async fn no_file_of_the_client_is_opened_because_a_record_names_it() {
    let elsewhere = tempfile::tempdir().unwrap();
    let theirs = elsewhere.path().join("config");
    let empty = elsewhere.path().join("empty");
    let world = World::new();
    let context = "contexts:\n- {name: mine, context: {}}\ncurrent-context: kind-c\n";
    std::fs::write(&theirs, context).unwrap();
    std::fs::create_dir(&empty).unwrap();
    // Nobody can open it.
    let socket = elsewhere.path().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    world.up().await.unwrap();
    let files = world.docker.files("kindreg-c");
    let path = "/kindreg/originals/kubeconfig.json";
    let original = files.read(path).unwrap();
    let mut original: Value = serde_json::from_slice(&original).unwrap();
    original["context"] = json!("mine");
    for file in [&theirs, &socket] {
        original["file"] = json!(file);
        original["absent"] = json!([file, empty.join("config")]);
        original["absent_folders"] = json!([empty, elsewhere.path()]);
        files.write(path, 0o644, original.to_string()).unwrap();
        let ctx = world.ctx();
        let step = kindreg::internal::steps::cluster::OriginalKubeconfig {
            cluster: world.spec.cluster.clone(),
        };
        step.undo(&ctx).await.unwrap();
    }
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), context);
    assert!(empty.exists());
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 3);
}

/// What kindreg 0.1.0 made before records had a version, as the engine showed it.
const BEFORE_VERSIONS: &str = include_str!("data/before-versions.json");

#[tokio::test]
async fn a_cluster_from_before_records_had_a_version_is_removed_whole() {
    let world = World::new();
    // Where Docker is installed, it is there.
    world.docker.host().make_dir("/etc/docker", 0o755).unwrap();
    let host = world.docker.host().all("/");
    let objects: Value = serde_json::from_str(BEFORE_VERSIONS).unwrap();
    restore(&world, &objects).await;
    let (client, cluster) = (world.client(), "c".parse().unwrap());
    assert!(!world.left().await.is_empty());
    let error = ops::status(&client, &crate::json::request(&world)).await;
    assert_eq!(
        format!("{:#}", error.unwrap_err()),
        "can't read the record of cluster c: no version"
    );
    let removed = ops::down(&client, &cluster).await.unwrap();
    assert!(removed.failure.is_none(), "{:?}", removed.failure);
    assert!(removed.report.changed);
    // Nothing says whether its images were to be kept, and so they are.
    let kept = ["volume kindreg-c-registry-data"];
    assert_eq!(removed.report.kept, kept);
    assert_eq!(world.left().await, [kept[0], "/etc/docker"]);
    assert_eq!(world.docker.host().all("/"), host, "its CA on the host too");
    let second = ops::down(&client, &cluster).await.unwrap().report;
    assert!(!second.changed);
    assert_eq!(second.kept, kept);
}

/// Makes the objects of the fixture, which is what `docker inspect` said of a real cluster, as far as it matters here.
async fn restore(world: &World, objects: &Value) {
    let labels = |object: &Value| -> BTreeMap<String, String> {
        serde_json::from_value(object["Labels"].clone()).unwrap()
    };
    for network in objects["networks"].as_array().unwrap() {
        let spec = kindreg::internal::docker::NetworkSpec {
            name: network["Name"].as_str().unwrap().to_owned(),
            labels: labels(network),
            options: BTreeMap::new(),
            ipv6_subnet: None,
        };
        world.docker.create_network(&spec).await.unwrap();
    }
    for volume in objects["volumes"].as_array().unwrap() {
        let volume = kindreg::internal::docker::Volume {
            name: volume["Name"].as_str().unwrap().to_owned(),
            labels: labels(volume),
        };
        world.docker.create_volume(&volume).await.unwrap();
    }
    for object in objects["containers"].as_array().unwrap() {
        let image = object["Image"].as_str().unwrap();
        world.docker.add_image(image);
        let mounts: Vec<kindreg::internal::docker::Mount> = object["Mounts"]
            .as_array()
            .unwrap()
            .iter()
            .map(mount)
            .collect();
        let spec = ContainerSpec {
            image: image.to_owned(),
            labels: labels(object),
            mounts,
            network: match object["Network"].as_str() {
                None | Some("none") => kindreg::internal::docker::NetworkMode::None,
                Some(name) => kindreg::internal::docker::NetworkMode::Named {
                    name: name.to_owned(),
                    aliases: Vec::new(),
                },
            },
            ..container(object["Name"].as_str().unwrap())
        };
        world.docker.create(&spec).await.unwrap();
        if object["Running"] == true {
            world.docker.start(&spec.name).await.unwrap();
        }
    }
    let host = world.docker.host();
    for (path, content) in objects["host"].as_object().unwrap() {
        let content = content.as_str().unwrap();
        host.write(path, 0o644, content).unwrap();
    }
    for (name, files) in objects["files"].as_object().unwrap() {
        let container = world.docker.files(name);
        for (path, content) in files.as_object().unwrap() {
            let content = content.as_str().unwrap();
            container.write(path, 0o644, content).unwrap();
        }
    }
}

fn mount(mount: &Value) -> kindreg::internal::docker::Mount {
    use kindreg::internal::docker::MountSource;
    let text = |key: &str| mount[key].as_str().unwrap().to_owned();
    kindreg::internal::docker::Mount {
        source: match mount["Type"].as_str() {
            Some("volume") => MountSource::Volume(text("Name")),
            _ => MountSource::Host(text("Source")),
        },
        target: text("Destination"),
    }
}
