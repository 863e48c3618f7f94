//! A change of settings that fails brings back what was there: the registry that ran before runs again, with its data.

use std::sync::{Arc, Mutex};

use kindreg::events::Event;
use kindreg::internal::docker::fake::Fault;
use kindreg::internal::docker::{ContainerState, Docker};
use kindreg::ops::{self, UpOptions};
use kindreg::spec::Port;
use kindreg::spec::mistake::{Given, Source};
use kindreg::spec::request::{BackendRequest, PortRequest, Request};

use crate::json::request;
use crate::world::World;

const REGISTRY: &str = "kindreg-c-registry";

fn given<T>(value: T) -> Given<T> {
    Given::new(value, Source::Flag("test".to_owned()))
}

async fn up(
    world: &World,
    request: &Request,
) -> anyhow::Result<ops::Finished<kindreg::report::Made>> {
    let (client, options) = (world.client(), UpOptions::default());
    ops::up(&client, request, &options, &ops::Nobody).await
}

/// A cluster with an image in its registry.
async fn with_an_image() -> World {
    let world = World::new();
    up(&world, &request(&world)).await.unwrap();
    let data = world.docker.files(REGISTRY);
    data.write("/var/lib/registry/blob", 0o644, "image")
        .unwrap();
    world
}

#[tokio::test]
async fn a_port_that_is_in_use_leaves_the_registry_at_its_old_one() {
    let world = with_an_image().await;
    let before = world.docker.container(REGISTRY).await.unwrap().unwrap();
    world.docker.occupy_port(5002);
    let mut other = request(&world);
    other.registries[0].port = given(PortRequest::Fixed(Port::new(5002).unwrap()));
    let error = up(&world, &other).await.unwrap_err();
    assert!(format!("{error:#}").contains("port 5002"), "{error:#}");

    let after = world.docker.container(REGISTRY).await.unwrap().unwrap();
    assert_eq!(after.state, ContainerState::Running);
    assert_eq!(after.labels, before.labels, "with the settings that it had");
    let data = world.docker.files(REGISTRY);
    assert_eq!(data.read("/var/lib/registry/blob").unwrap(), b"image");
    let again = up(&world, &request(&world)).await.unwrap();
    // The proof was about the container that is gone.
    let third = up(&world, &request(&world)).await.unwrap();
    assert!(again.report.changed && !third.report.changed);
    let node = world.docker.files("c-worker");
    let folders = node.list("/etc/containerd/certs.d");
    assert_eq!(folders, ["localhost:5001", "registry.test:5001"]);
    let host = world.docker.host().list("/etc/docker/certs.d");
    assert_eq!(host, ["localhost:5001", "registry.test:5001"]);
}

#[tokio::test]
async fn a_proof_that_fails_after_a_change_brings_the_old_image_back() {
    let world = with_an_image().await;
    world.docker.add_image("registry:2");
    let mut other = request(&world);
    let BackendRequest::Distribution(asked) = &mut other.registries[0].backend else {
        panic!("kindreg runs it")
    };
    asked.image = given("registry:2".parse().unwrap());
    world.kube.pod_fails("c-worker", "ErrImagePull", "x509: no");
    up(&world, &other).await.unwrap_err();
    let after = world.docker.container(REGISTRY).await.unwrap().unwrap();
    assert_eq!(after.image, "registry:3");
    assert_eq!(after.state, ContainerState::Running);
    world.kube.pod_succeeds("c-worker");
    up(&world, &request(&world)).await.unwrap();
    assert!(!up(&world, &request(&world)).await.unwrap().report.changed);
}

#[tokio::test]
async fn a_repair_that_fails_takes_nothing_back() {
    let world = with_an_image().await;
    world.docker.remove(REGISTRY).await.unwrap();
    world.docker.occupy_port(5001);
    up(&world, &request(&world)).await.unwrap_err();
    assert!(world.docker.container("c-worker").await.unwrap().is_some());
    let volume = world.docker.volume("kindreg-c-registry-data").await;
    assert!(volume.unwrap().is_some());
}

/// A change of the settings that `up` can make to a cluster that is there.
type Change = fn(&mut Request);

const CHANGES: [(&str, Change); 4] = [
    ("image", |request| {
        let BackendRequest::Distribution(asked) = &mut request.registries[0].backend else {
            panic!("kindreg runs it")
        };
        asked.image = given("registry:2".parse().unwrap());
    }),
    ("port", |request| {
        request.registries[0].port = given(PortRequest::Fixed(Port::new(5002).unwrap()));
    }),
    ("names", |request| {
        request.registries[0].names = vec![given("other.test".parse().unwrap())];
    }),
    ("host", |request| {
        request.registries[0].host = given("moved.test".parse().unwrap());
    }),
];

/// What a change must leave as it was: the registry with its image, and what nodes and the host trust.
async fn state(world: &World) -> (Vec<String>, Vec<String>, Vec<u8>, String) {
    let registry = world.docker.container(REGISTRY).await.unwrap().unwrap();
    assert_eq!(registry.state, ContainerState::Running);
    let node = world.docker.files("c-worker");
    let data = world.docker.files(REGISTRY).read("/var/lib/registry/blob");
    (
        node.list("/etc/containerd/certs.d"),
        world.docker.host().list("/etc/docker/certs.d"),
        data.expect("the registry has its image"),
        registry.labels["dev.kindreg.spec"].clone(),
    )
}

/// The cluster is as it was, and another `up` with the old settings says so.
async fn is_as_it_was(
    world: &World,
    before: &(Vec<String>, Vec<String>, Vec<u8>, String),
    case: &str,
) {
    assert_eq!(&state(world).await, before, "{case}");
    // The proof may be about a container that is gone.
    up(world, &request(world)).await.unwrap();
    let again = up(world, &request(world)).await.unwrap();
    assert!(!again.report.changed, "{case}");
    assert_eq!(&state(world).await, before, "{case}");
}

#[tokio::test]
async fn each_change_whose_proof_fails_is_taken_back_with_the_data() {
    for (what, change) in CHANGES {
        let world = with_an_image().await;
        world.docker.add_image("registry:2");
        let before = state(&world).await;
        let mut other = request(&world);
        change(&mut other);
        world.kube.pod_fails("c-worker", "ErrImagePull", "x509: no");
        let client = world.client();
        let options = UpOptions {
            consent: ops::Consent::Given,
            ..UpOptions::default()
        };
        let failed = ops::up(&client, &other, &options, &ops::Nobody).await;
        failed.unwrap_err();
        world.kube.pod_succeeds("c-worker");
        is_as_it_was(&world, &before, what).await;
    }
}

#[tokio::test]
async fn an_image_that_can_t_be_pulled_touches_nothing() {
    let world = with_an_image().await;
    let before = (state(&world).await, world.docker.container(REGISTRY).await);
    world.docker.refuse_image("registry:2");
    let mut other = request(&world);
    CHANGES[0].1(&mut other);
    up(&world, &other).await.unwrap_err();
    let after = (state(&world).await, world.docker.container(REGISTRY).await);
    assert_eq!(after.0, before.0);
    assert_eq!(after.1.unwrap(), before.1.unwrap(), "not even restarted");
    is_as_it_was(&world, &before.0, "image").await;
}

#[tokio::test]
async fn a_change_may_fail_at_any_call_and_is_taken_back_with_the_data() {
    let changed = |world: &World| {
        let mut other = request(world);
        for (_, change) in CHANGES {
            change(&mut other);
        }
        other
    };
    let options = UpOptions {
        consent: ops::Consent::Given,
        ..UpOptions::default()
    };
    let new = async || {
        let world = with_an_image().await;
        world.docker.add_image("registry:2");
        world
    };
    let world = new().await;
    let first = world.docker.calls();
    let done = ops::up(&world.client(), &changed(&world), &options, &ops::Nobody).await;
    done.unwrap();
    let last = world.docker.calls();
    assert!(last - first > 100);
    let mut taken_back = 0;
    // Each call at some time: the step has no divisor in common with what is repeated for each node.
    for number in (first + 1..=last).step_by(13) {
        let world = new().await;
        let before = state(&world).await;
        world.docker.fail_call(number, Fault::Error);
        let failed = ops::up(&world.client(), &changed(&world), &options, &ops::Nobody).await;
        let log = world.docker.call_log();
        let case = format!("call {number} ({})", log[number - 1]);
        if failed.is_err() {
            taken_back += 1;
            is_as_it_was(&world, &before, &case).await;
        }
    }
    assert!(taken_back > 5, "{taken_back}");
}

#[tokio::test]
async fn files_of_others_in_a_folder_that_is_retired_stay_and_are_named() {
    let world = with_an_image().await;
    let certs = "/etc/containerd/certs.d/registry.test:5001";
    let worker = world.docker.files("c-worker");
    let theirs = format!("{certs}/client.cert");
    let notes = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&notes);
    let client = world.client().with_listener(move |event| {
        if let Event::Note(text) = event {
            heard.lock().unwrap().push(text);
        }
    });
    let mut other = request(&world);
    CHANGES[1].1(&mut other);
    worker.write(&theirs, 0o644, "theirs").unwrap();
    let options = UpOptions::default();
    ops::up(&client, &other, &options, &ops::Nobody)
        .await
        .unwrap();
    assert_eq!(worker.list(certs), ["client.cert"], "ours are gone");
    let note = format!("kept on c-worker, as kindreg did not write it: {certs}/client.cert");
    assert!(notes.lock().unwrap().contains(&note), "{notes:?}");
    // It is no drift: nothing of ours is there.
    assert!(!up(&world, &other).await.unwrap().report.changed);
}
