//! What `status` tells: of what is there, and of what is asked for now.

use kindreg::errors::Exit;
use kindreg::internal::docker::fake::plain;
use kindreg::internal::docker::{ContainerSpec, Docker};
use kindreg::internal::hints;
use kindreg::internal::ports::Ports;
use kindreg::ops;
use kindreg::report::{Condition, Report};
use kindreg::spec::Spec;
use kindreg::spec::mistake::{Given, Source};
use kindreg::spec::request::{BackendRequest, PortRequest, Request};

use crate::world::{World, open};

async fn status(world: &World, wanted: Request) -> Report {
    let before = world.docker.journal();
    let found = ops::status(&world.client(), &wanted).await.unwrap();
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
fn typed(world: &World, change: impl Fn(&mut Request)) -> Request {
    let mut request = Request {
        cluster: given(world.spec.cluster.clone()),
        ..Request::default()
    };
    change(&mut request);
    request
}

/// What such a request comes to beside what is there.
fn wanted(world: &World, request: &Request) -> Spec {
    let filled = request.clone().over(&world.spec).unwrap();
    let mut ports = Ports::recorded(&filled, Some(&world.spec));
    filled.resolve(&mut |name| ports.free(name)).unwrap()
}

fn given<T>(value: T) -> Given<T> {
    Given::new(value, Source::Flag("test".to_owned()))
}

#[tokio::test]
async fn where_nothing_is_typed_the_record_is_what_is_wanted() {
    let mut world = World::new();
    world.spec.registries[0].port = kindreg::spec::Port::new(6007).unwrap();
    open(&mut world.spec.registries[0]);
    world.spec.registries[0].names = vec!["other.test".parse().unwrap()];
    world.up().await.unwrap();
    let nothing = typed(&world, |_| {});
    assert_eq!(wanted(&world, &nothing), world.spec);
    let auto = typed(&world, |request| {
        request.registries[0].port = given(PortRequest::Auto);
    });
    assert_eq!(wanted(&world, &auto), world.spec, "it has one");
    let found = status(&world, nothing).await;
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
    let found = status(&world, wanted).await;
    let said = whys(&found).join("\n");
    for why in [
        "record kindreg-c: settings changed: registry registry: port 5001 → 5002",
        "container kindreg-c-registry: created with other settings",
        "node trust",
        "node credentials",
    ] {
        assert!(said.contains(why), "{why}:\n{said}");
    }
    let wanted = typed(&world, |request| {
        let BackendRequest::Distribution(asked) = &mut request.registries[0].backend else {
            panic!("kindreg runs it")
        };
        asked.image = given("registry:2".parse().unwrap());
    });
    let said = whys(&status(&world, wanted).await).join("\n");
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
    let found = status(&world, wanted).await;
    assert_eq!(
        whys(&found),
        [
            "cluster c: has 1 control plane(s) and 2 worker(s), not 1 and 4; recreate it: kindreg down --name c"
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
    let found = status(&world, typed(&world, |_| {})).await;
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
    assert_eq!(differs("c-worker2"), ["not running"]);

    world.docker.remove("c-worker2").await.unwrap();
    world.docker.remove("kindreg-c-registry").await.unwrap();
    let found = status(&world, typed(&world, |_| {})).await;
    assert_eq!(found.state, Condition::Missing);
    assert_eq!(found.nodes.len(), 3);
    assert_eq!(found.nodes[2].differs[0], "missing");
    assert_eq!(found.nodes[0].trust, None, "with nothing to compare with");
    assert_eq!(found.registries[0].days_left, None);
}

#[tokio::test]
async fn what_pulls_need_is_named_and_repaired_whatever_of_it_is_lost() {
    let world = World::new();
    world.up().await.unwrap();
    let (network, registry) = ("kindreg-c", "kindreg-c-registry");
    let losses: [(&dyn Fn(), &str); 4] = [
        (
            &|| world.docker.disconnect(network, registry),
            "container kindreg-c-registry: not on network kindreg-c",
        ),
        (
            &|| world.docker.reconnect_without_names(network, registry),
            "container kindreg-c-registry: without the name registry.test on network kindreg-c",
        ),
        (
            &|| world.docker.unpublish(registry),
            "container kindreg-c-registry: port 127.0.0.1:5001 is not published",
        ),
        (
            &|| world.docker.disconnect(network, "c-worker2"),
            "node containers: not on network kindreg-c: c-worker2",
        ),
    ];
    for (lose, why) in losses {
        lose();
        let found = status(&world, typed(&world, |_| {})).await;
        assert_eq!(found.state, Condition::Drifted, "{why}");
        assert!(whys(&found).contains(&why.to_owned()), "{:?}", whys(&found));
        world.up().await.unwrap();
        let found = status(&world, typed(&world, |_| {})).await;
        assert_eq!(whys(&found), Vec::<String>::new(), "{why}");
    }
}

/// What somebody did, where `status` must say it, and the command that undoes it.
struct Hijack {
    does: fn(&World),
    why: &'static str,
    differs: &'static [&'static str],
    hint: &'static str,
    undoes: fn(&World),
}

const HOSTS: &str = "127.0.0.1 localhost\n";

fn write_hosts(world: &World, more: &str) {
    let node = world.docker.files("c-worker");
    let hosts = format!("{HOSTS}{more}");
    node.write("/etc/hosts", 0o644, hosts).unwrap();
}

const HIJACKS: [Hijack; 2] = [
    Hijack {
        does: |world| write_hosts(world, "10.9.9.9 mine.test Registry.test # by hand\n"),
        why: "/etc/hosts has a line of somebody else's: 10.9.9.9 for registry.test",
        differs: &["names: /etc/hosts has a line of somebody else's: 10.9.9.9 for registry.test"],
        hint: "if nobody needs the line, run: docker exec c-worker sh -c 'sed 2d /etc/hosts >/tmp/hosts && cat \
               /tmp/hosts >/etc/hosts'",
        undoes: |world| write_hosts(world, ""),
    },
    Hijack {
        does: |world| {
            world
                .docker
                .join_as("stranger", "kindreg-c", &["registry.test"]);
        },
        why: "container stranger answers for registry.test too",
        differs: &[],
        hint: "if nobody needs it there, run: docker network disconnect kindreg-c stranger",
        undoes: |world| world.docker.disconnect("kindreg-c", "stranger"),
    },
];

#[tokio::test]
async fn whoever_else_answers_for_a_registry_is_named_and_left_alone() {
    let world = World::new();
    world.up().await.unwrap();
    world.docker.create(&stranger()).await.unwrap();
    world.docker.start("stranger").await.unwrap();
    // With another name on the network it is nobody's business.
    world
        .docker
        .join_as("stranger", "kindreg-c", &["other.test"]);
    let nothing = typed(&world, |_| {});
    assert_eq!(
        status(&world, nothing.clone()).await.state,
        Condition::Ready
    );
    world.docker.disconnect("kindreg-c", "stranger");
    for hijack in HIJACKS {
        (hijack.does)(&world);
        let found = status(&world, nothing.clone()).await;
        assert_eq!(found.state, Condition::Drifted, "{}", hijack.why);
        let on = if hijack.differs.is_empty() {
            ""
        } else {
            " on c-worker"
        };
        let why = format!("registry names in nodes: {}{on}", hijack.why);
        assert_eq!(whys(&found), [why]);
        let worker = found
            .nodes
            .iter()
            .find(|node| node.name == "c-worker")
            .unwrap();
        assert_eq!(worker.differs, hijack.differs);
        let before = world.docker.files("c-worker").read("/etc/hosts");
        let up = ops::up(
            &world.client(),
            &nothing,
            &ops::UpOptions::default(),
            &ops::Nobody,
        )
        .await;
        let error = up.unwrap_err();
        assert_eq!(hints::hint(&error).unwrap(), hijack.hint);
        assert_eq!(hints::exit(&error), Exit::Foreign, "{error:#}");
        assert_eq!(world.docker.files("c-worker").read("/etc/hosts"), before);
        (hijack.undoes)(&world);
        let found = status(&world, nothing.clone()).await;
        assert_eq!(whys(&found), Vec::<String>::new(), "{}", hijack.why);
    }
}

fn stranger() -> ContainerSpec {
    plain("stranger", "registry:3")
}
