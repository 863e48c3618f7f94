//! Ports that were free when they were chosen, and are taken when the registry starts.

use std::sync::Mutex;

use kindreg::internal::docker::Docker;
use kindreg::internal::engine::{OnFailure, Outcome};
use kindreg::internal::plan::{Verify, up as plan};
use kindreg::internal::ports::with_free_ports;
use kindreg::spec::mistake::{Given, Source};
use kindreg::spec::request::{PortRequest, Request};
use kindreg::spec::{Port, Spec, Workers};

use crate::world::{NODE_IMAGE, World, engine_up};

/// The request for the cluster of the world.
fn request(world: &World, port: PortRequest) -> Request {
    let flag = || Source::Flag("test".to_owned());
    let mut request = Request {
        cluster: Given::new(world.spec.cluster.clone(), flag()),
        workers: Given::new(Workers::new(2).unwrap(), flag()),
        node_image: Given::new(NODE_IMAGE.parse().unwrap(), flag()),
        ..Request::default()
    };
    request.registries[0].port = Given::new(port, flag());
    request
}

/// `kindreg up`: ports that were tried, and what came of the last.
async fn up(world: &World, request: &Request) -> (Vec<u16>, anyhow::Result<Spec>) {
    let tried = Mutex::new(Vec::new());
    let (ctx, lock) = (world.ctx(), world.lock());
    let client = world.client();
    let ended = with_free_ports(&client, &ctx, request, async |ctx, wanted| {
        let (spec, asked) = (wanted.spec, wanted.recorded);
        tried.lock().unwrap().push(spec.registries[0].port.number());
        let earlier = asked.map_or_else(Vec::new, |asked| asked.replaced_by(&spec));
        let plan = plan(&spec, &earlier, Verify::EveryNode);
        engine_up(&plan, &ctx, &lock, OnFailure::RollBack(None), &|_| {}).await?;
        Ok(spec)
    });
    let ended = ended.await;
    assert!(!ctx.stop.is_cancelled(), "a lost port stops nobody else");
    (tried.into_inner().unwrap(), ended)
}

#[tokio::test]
async fn a_port_that_turns_out_to_be_taken_is_left_for_the_next() {
    let mut world = World::new();
    world.docker.occupy_port(5001);
    world.docker.occupy_port(5002);
    let auto = request(&world, PortRequest::Auto);
    let (tried, ended) = up(&world, &auto).await;
    world.spec = ended.unwrap();
    assert_eq!(tried, [5001, 5002, 5003]);
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);

    // From then on it has that port, and keeps it.
    let (tried, ended) = up(&world, &auto).await;
    assert_eq!((tried, ended.unwrap()), (vec![5003], world.spec.clone()));
    world.docker.remove("kindreg-c-registry").await.unwrap();
    world.docker.occupy_port(5003);
    let (tried, ended) = up(&world, &auto).await;
    assert_eq!(tried, [5003]);
    let error = ended.unwrap_err();
    assert!(error.to_string().contains("port 5003"), "{error:#}");
    world.down().await.unwrap();
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_port_that_was_asked_for_is_not_exchanged() {
    let world = World::new();
    world.docker.occupy_port(6001);
    let fixed = PortRequest::Fixed(Port::new(6001).unwrap());
    let (tried, ended) = up(&world, &request(&world, fixed)).await;
    assert_eq!(tried, [6001]);
    let error = ended.unwrap_err();
    assert!(error.to_string().contains("port 6001"), "{error:#}");
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn ports_are_not_tried_for_ever() {
    let world = World::new();
    for port in 5001..5100 {
        world.docker.occupy_port(port);
    }
    let (tried, ended) = up(&world, &request(&world, PortRequest::Auto)).await;
    assert_eq!(tried, (5001..=5011).collect::<Vec<_>>());
    assert!(ended.is_err());
    assert_eq!(world.left().await, Vec::<String>::new());
}
