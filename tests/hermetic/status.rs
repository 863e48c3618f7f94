//! What `status` tells: of what is there, and of what is asked for now.

use kindreg::docker::Docker;
use kindreg::report::{Condition, Report, report};
use kindreg::spec::Spec;
use kindreg::spec::mistake::{Given, Source};
use kindreg::spec::request::{PortRequest, Request};
use kindreg::steps::asked;

use crate::world::World;

async fn status(world: &World, wanted: &Spec) -> Report {
    let asked = asked(&*world.docker, &world.spec.cluster).await.unwrap();
    let before = world.docker.journal();
    let found = report(&world.ctx(), &asked.unwrap(), wanted).await.unwrap();
    assert_eq!(world.docker.journal(), before, "it changes nothing");
    found
}

fn whys(report: &Report) -> Vec<String> {
    let differing = report
        .parts
        .iter()
        .filter(|part| part.state != Condition::Ready);
    let said = differing.map(|part| match &part.why {
        Some(why) => format!("{}: {why}", part.part),
        None => part.part.clone(),
    });
    said.collect()
}

/// A request as it comes from the command line, where `change` was given.
fn typed(world: &World, change: impl Fn(&mut Request)) -> Spec {
    let mut request = Request {
        cluster: given(world.spec.cluster.clone()),
        ..Request::default()
    };
    change(&mut request);
    let filled = request.filled_from(&world.spec);
    filled.resolve(&mut |_| unreachable!()).unwrap()
}

fn given<T>(value: T) -> Given<T> {
    Given::new(value, Source::Flag("test".to_owned()))
}

#[tokio::test]
async fn where_nothing_is_typed_the_record_is_what_is_wanted() {
    let mut world = World::new();
    world.spec.registries[0].port = kindreg::spec::Port::new(6007).unwrap();
    world.spec.registries[0].auth = kindreg::spec::Auth::Anonymous;
    world.spec.registries[0].names = vec!["other.test".parse().unwrap()];
    world.up().await.unwrap();
    let wanted = typed(&world, |_| {});
    assert_eq!(wanted, world.spec);
    let auto = typed(&world, |request| {
        request.registries[0].port = given(PortRequest::Auto);
    });
    assert_eq!(auto, world.spec, "it has one");
    let found = status(&world, &wanted).await;
    assert_eq!((found.state, whys(&found)), (Condition::Ready, Vec::new()));
    let [registry] = found.registries.as_slice() else {
        panic!("one registry")
    };
    assert_eq!(
        registry.endpoints,
        ["registry.test:6007", "other.test:6007", "localhost:6007"]
    );
    assert!(
        registry
            .days_left
            .is_some_and(|days| (800..=820).contains(&days))
    );
    for node in &found.nodes {
        assert_eq!(node.differs, Vec::<String>::new());
        assert_eq!(node.trust, Some(Condition::Ready));
        assert_eq!(node.proven, ["registry"]);
    }
}

#[tokio::test]
async fn another_port_and_image_that_are_wanted_are_named() {
    let world = World::new();
    world.up().await.unwrap();
    let wanted = typed(&world, |request| {
        request.registries[0].port = given("5002".parse().unwrap());
    });
    let found = status(&world, &wanted).await;
    let said = whys(&found).join("\n");
    for why in [
        "record kindreg-c: other settings are asked for: registry registry: port 5001 → 5002",
        "container kindreg-c-registry: it was made with other settings",
        "trust in every node",
        "password in every node",
    ] {
        assert!(said.contains(why), "{why}:\n{said}");
    }
    let wanted = typed(&world, |request| {
        request.registries[0].image = given("registry:2".parse().unwrap());
    });
    let said = whys(&status(&world, &wanted).await).join("\n");
    assert!(said.contains("image registry:3 → registry:2"), "{said}");
    assert!(said.contains("image registry:2"), "{said}");
}

#[tokio::test]
async fn what_no_up_can_change_is_said_so() {
    let world = World::new();
    world.up().await.unwrap();
    let wanted = typed(&world, |request| {
        request.workers = given("4".parse().unwrap());
    });
    let found = status(&world, &wanted).await;
    assert_eq!(
        whys(&found),
        [
            "cluster c: has 1 control plane(s) and 2 worker(s), not 1 and 4; make it anew: kindreg down --name c"
        ]
    );
}

#[tokio::test]
async fn each_node_says_what_it_lacks() {
    let world = World::new();
    world.up().await.unwrap();
    let certs = "/etc/containerd/certs.d/registry.test:5001/ca.crt";
    assert!(world.docker.files("c-worker").remove(certs));
    world.docker.end_process("c-worker2", 1);
    let found = status(&world, &world.spec).await;
    let differs = |name: &str| {
        let mut nodes = found.nodes.iter();
        nodes
            .find(|node| node.name == name)
            .unwrap()
            .differs
            .clone()
    };
    assert_eq!(differs("c-control-plane"), Vec::<String>::new());
    assert_eq!(differs("c-worker"), ["trust: registry.test:5001/ca.crt"]);
    assert_eq!(differs("c-worker2"), ["it does not run"]);

    world.docker.remove("c-worker2").await.unwrap();
    world.docker.remove("kindreg-c-registry").await.unwrap();
    let found = status(&world, &world.spec).await;
    assert_eq!(found.state, Condition::Missing);
    assert_eq!(found.nodes.len(), 3);
    assert_eq!(found.nodes[2].differs[0], "it is gone");
    assert_eq!(found.nodes[0].trust, None, "with nothing to compare with");
    assert_eq!(found.registries[0].days_left, None);
}
