//! Nodes that come and go without kind: one is joined by hand, one is lost, one is off the network.

use std::sync::Mutex;

use kindreg::events::{Event, StepEvent};
use kindreg::internal::docker::{Docker, ExecOutput};
use kindreg::internal::engine::Outcome;
use kindreg::internal::plan::{Verify, up as plan};
use kindreg::internal::step::State;
use kindreg::internal::steps::nodes::RECONFIGURE;
use kindreg::ops;
use kindreg::report::Condition;
use kindreg::spec::mistake::{Given, Source};
use kindreg::spec::request::Request;

use crate::world::{CONTAINERD_CONFIG, NODE_IMAGE, World};

/// A cluster of three, and a fourth node that somebody joined.
async fn joined() -> World {
    let world = World::new();
    world.up().await.unwrap();
    world
        .kind
        .join("c", "c-worker3", NODE_IMAGE, "kindreg-c")
        .unwrap();
    world
}

/// The steps that a next `up` applies.
pub(crate) async fn applied(world: &World) -> Vec<String> {
    let ids = Mutex::new(Vec::new());
    let told = |event| {
        if let Event::Step { id, what, .. } = event
            && matches!(what, StepEvent::Started { .. })
        {
            ids.lock().unwrap().push(id.to_string());
        }
    };
    world.up_with(&world.ctx(), &told).await.unwrap();
    ids.into_inner().unwrap()
}

/// What every step but those that are Ready says.
pub(crate) async fn drift(world: &World) -> Vec<String> {
    let plan = plan(&world.spec, &[], Verify::EveryNode);
    let ctx = world.ctx();
    let states = kindreg::internal::engine::preview(&plan, &ctx)
        .await
        .unwrap();
    let differing = states.into_iter().filter_map(|(step, state)| match state {
        State::Ready => None,
        State::Missing => Some(step.id().to_string()),
        State::Drifted(why) => Some(format!("{}: {why}", step.id())),
    });
    differing.collect()
}

#[tokio::test]
async fn a_node_joined_later_gets_what_it_lacks_and_is_proven() {
    let world = joined().await;
    let others = world.docker.files("c-worker").all("/");
    assert_eq!(
        drift(&world).await,
        [
            "node.containerd: config_path not set on c-worker3",
            "node.trust: missing on c-worker3",
            "node.credentials: missing on c-worker3",
            "proof.image/registry",
            "proof.pull/registry: not proven: c-worker3",
        ]
    );
    let flag = Source::Flag("test".to_owned());
    let request = Request {
        cluster: Given::new(world.spec.cluster.clone(), flag),
        ..Request::default()
    };
    let found = ops::status(&world.client(), &request).await.unwrap();
    assert_eq!(found.state, Condition::Missing);
    let node = found.nodes.last().unwrap();
    assert_eq!((node.name.as_str(), node.running), ("c-worker3", true));
    assert_eq!(node.trust, Some(Condition::Missing));
    assert_eq!(node.proven, Vec::<String>::new());
    assert_eq!(found.nodes[0].differs, Vec::<String>::new());

    let before = world.docker.journal().len();
    assert_eq!(applied(&world).await.len(), 5);
    let journal = world.docker.journal().split_off(before);
    assert_eq!(
        others,
        world.docker.files("c-worker").all("/"),
        "the other nodes stay as they are"
    );
    let config = world
        .docker
        .files("c-worker3")
        .read(CONTAINERD_CONFIG)
        .unwrap();
    assert!(String::from_utf8(config).unwrap().contains("config_path"));
    let restarts = journal
        .iter()
        .filter(|it| it.contains("restart containerd"));
    assert_eq!(restarts.count(), 1, "{journal:#?}");
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);

    world.down().await.unwrap();
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_joined_node_is_served_though_any_call_fails_once() {
    let calls = {
        let world = joined().await;
        let before = world.docker.calls();
        world.up().await.unwrap();
        world.docker.calls() - before
    };
    for number in (1..=calls).step_by(2) {
        let world = joined().await;
        let call = world.docker.calls() + number;
        world
            .docker
            .fail_call(call, kindreg::internal::docker::fake::Fault::Error);
        let _ = world.up().await;
        world.up().await.unwrap();
        assert_eq!(
            world.up().await.unwrap(),
            Outcome::Unchanged,
            "call {number}"
        );
        world.down().await.unwrap();
        assert_eq!(world.left().await, Vec::<String>::new(), "call {number}");
    }
}

#[tokio::test]
async fn a_containerd_that_can_t_be_configured_is_named_and_nothing_is_rolled_back() {
    for config in [
        "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.x]\n",
        "nonsense",
    ] {
        let world = joined().await;
        let node = world.docker.files("c-worker3");
        node.write(CONTAINERD_CONFIG, 0o644, config).unwrap();
        let error = world.up().await.unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("containerd's config_path on node c-worker3"),
            "{config}: {text}"
        );
        assert_eq!(node.read(CONTAINERD_CONFIG).unwrap(), config.as_bytes());
        assert!(world.docker.container("c-worker").await.unwrap().is_some());
    }
    let world = joined().await;
    world.docker.on_script(RECONFIGURE, |_, _, _| ExecOutput {
        code: 1,
        stdout: Vec::new(),
        stderr: b"CRI does not load\n".to_vec(),
    });
    let text = format!("{:#}", world.up().await.unwrap_err());
    assert!(text.contains("CRI does not load"), "{text}");
}

#[tokio::test]
async fn a_node_that_is_gone_is_told_and_can_t_be_repaired() {
    let world = World::new();
    world.up().await.unwrap();
    world.docker.remove("c-worker2").await.unwrap();
    assert_eq!(drift(&world).await, ["node.containers: missing: c-worker2"]);
    let error = world.up().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("containers of cluster c are missing: c-worker2"),
        "{error:#}"
    );
    let hint = kindreg::internal::hints::hint(&error).unwrap();
    assert!(hint.contains("kindreg down --name c"), "{hint}");
    assert!(world.docker.container("c-worker").await.unwrap().is_some());
}

#[tokio::test]
async fn a_node_that_stopped_or_left_the_network_comes_back() {
    let world = World::new();
    world.up().await.unwrap();
    world.docker.end_process("c-worker", 137);
    world.docker.disconnect("kindreg-c", "c-worker2");
    let said = drift(&world).await;
    assert_eq!(
        said[0],
        "node.containers: not running: c-worker; not on network kindreg-c: c-worker2"
    );
    assert_eq!(said[1..], ["cluster.nodes-ready: not Ready: c-worker"]);
    assert_eq!(applied(&world).await, ["node.containers"]);
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);

    // Off its network the control plane is ours still, by the network that it was made for.
    world.docker.disconnect("kindreg-c", "c-control-plane");
    assert_eq!(applied(&world).await, ["node.containers"]);
}
