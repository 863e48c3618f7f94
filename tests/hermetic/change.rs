//! A change of settings that fails brings back what was there: the registry that ran before runs again, with its data.

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
    assert_eq!(host, ["registry.test:5001"]);
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
