//! Several control planes stand behind kind's load balancer, which is no node and needs no registry.

use kindreg::internal::docker::{ContainerState, Docker};
use kindreg::internal::engine::Outcome;
use kindreg::internal::hints;
use kindreg::internal::observe::{Recovered, nodes, recovered};
use kindreg::ops;
use kindreg::report::Condition;
use kindreg::spec::{ControlPlanes, ImageRef, Workers};

use crate::joined::{applied, drift};
use crate::world::{World, owned};

const BALANCER: &str = "c-external-load-balancer";

async fn three() -> World {
    let mut world = World::new();
    owned(&mut world.spec).control_planes = ControlPlanes::new(3).unwrap();
    owned(&mut world.spec).workers = Workers::new(1).unwrap();
    world.up().await.unwrap();
    world
}

#[tokio::test]
async fn every_node_is_set_up_and_the_load_balancer_is_left_alone() {
    let world = three().await;
    let names = [
        "c-control-plane",
        "c-control-plane2",
        "c-control-plane3",
        "c-worker",
    ];
    let found = nodes(&*world.docker, &world.spec.cluster).await.unwrap();
    let found: Vec<&str> = found.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(found, names);
    let balancer = world.docker.container(BALANCER).await.unwrap().unwrap();
    assert_eq!(balancer.state, ContainerState::Running);
    let files = world.docker.files(BALANCER).all("/").into_keys();
    let ours: Vec<String> = files
        .filter(|path| path.contains("kindreg") || path.contains("certs.d"))
        .collect();
    assert_eq!(ours, [""; 0]);
    for name in names {
        let certs = world.docker.files(name).list("/etc/containerd/certs.d");
        assert!(!certs.is_empty(), "{name}");
    }
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);

    let list = ops::list(&world.client()).await.unwrap();
    assert_eq!((list[0].nodes, list[0].running), (4, 4));
    let mut request = kindreg::spec::request::Request::default();
    request.cluster.value = world.spec.cluster.clone();
    let status = ops::status(&world.client(), &request).await.unwrap();
    assert_eq!(status.state, Condition::Ready);
    let reported: Vec<&str> = status.nodes.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(reported, names);

    ops::down(&world.client(), &world.spec.cluster)
        .await
        .unwrap();
    assert_eq!(world.left().await, Vec::<String>::new());
    assert_eq!(world.docker.container(BALANCER).await.unwrap(), None);
}

#[tokio::test]
async fn a_load_balancer_that_stopped_or_left_the_network_is_brought_back() {
    let world = three().await;
    world.docker.end_process(BALANCER, 137);
    assert_eq!(
        drift(&world).await,
        [format!("node.containers: not running: {BALANCER}")]
    );
    assert_eq!(applied(&world).await, ["node.containers"]);
    world.docker.disconnect("kindreg-c", BALANCER);
    assert_eq!(
        drift(&world).await,
        [format!(
            "node.containers: not on network kindreg-c: {BALANCER}"
        )]
    );
    assert_eq!(applied(&world).await, ["node.containers"]);
    let balancer = world.docker.container(BALANCER).await.unwrap().unwrap();
    assert_eq!(balancer.state, ContainerState::Running);
    assert!(balancer.networks.contains_key("kindreg-c"));
}

#[tokio::test]
async fn a_load_balancer_that_is_gone_is_named_and_down_removes_the_rest() {
    let world = three().await;
    world.docker.remove(BALANCER).await.unwrap();
    assert_eq!(
        drift(&world).await,
        [format!("node.containers: missing: {BALANCER}")]
    );
    let error = world.up().await.unwrap_err();
    assert!(error.to_string().contains(BALANCER), "{error:#}");
    let hint = hints::hint(&error).unwrap();
    assert_eq!(hint, "run: kindreg down --name c && kindreg up --name c");
    ops::down(&world.client(), &world.spec.cluster)
        .await
        .unwrap();
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn no_script_runs_in_the_image_of_a_load_balancer() {
    let world = three().await;
    // Nothing else is left that has an image.
    for node in nodes(&*world.docker, &world.spec.cluster).await.unwrap() {
        world.docker.remove(&node.name).await.unwrap();
    }
    for container in ["kindreg-c", "kindreg-c-registry"] {
        world.docker.remove(container).await.unwrap();
    }
    let found = recovered(&*world.docker, &world.spec.cluster)
        .await
        .unwrap();
    let Some(Recovered::Fragments(spec)) = found else {
        panic!("{found:?}")
    };
    assert_eq!(*spec.target.node_image(), ImageRef::node());
}
