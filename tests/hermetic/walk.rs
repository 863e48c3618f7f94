//! The whole walk against the fakes: order of effects, idempotence, roll-back, what is not ours, drift.

use std::sync::Mutex;

use kindreg::events::{Event, StepEvent};
use kindreg::internal::docker::fake::plain;
use kindreg::internal::docker::{ContainerSpec, Docker, ExecOutput, NetworkSpec, Volume};
use kindreg::internal::engine::Outcome;
use kindreg::internal::hints;
use kindreg::internal::problem::Exit;
use kindreg::internal::steps::registry::ASK;

use crate::world::{NODE_IMAGE, World, distribution};

pub(crate) fn container(name: &str) -> ContainerSpec {
    plain(name, NODE_IMAGE)
}

fn position(journal: &[String], start: &str) -> usize {
    let begins = |effect: &String| {
        effect
            .strip_prefix(start)
            .is_some_and(|rest| !rest.starts_with('-'))
    };
    let found = journal.iter().position(begins);
    found.unwrap_or_else(|| panic!("no {start:?} in {journal:#?}"))
}

#[tokio::test]
async fn up_makes_the_record_first_and_starts_kind_before_it_needs_the_cluster() {
    let world = World::new();
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    let journal = world.docker.journal();
    let at = |start| position(&journal, start);
    assert!(at("create kindreg-c-lock") < at("create kindreg-c"));
    assert!(at("create kindreg-c") < at("create network kindreg-c"));
    assert!(at("create kindreg-c-registry") < at("upload kindreg-c-registry:/kindreg/secret"));
    assert!(at("upload kindreg-c-registry:/kindreg/secret") < at("start kindreg-c-registry"));
    assert!(
        world
            .docker
            .container("kindreg-c-lock")
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_second_up_writes_nothing_and_takes_no_lock() {
    let world = World::new();
    world.up().await.unwrap();
    let before = world.docker.journal();
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
    assert_eq!(world.docker.journal(), before);
}

#[tokio::test]
async fn down_leaves_nothing_and_a_second_down_does_nothing() {
    let world = World::new();
    let host = world.docker.host().all("/");
    world.up().await.unwrap();
    assert_ne!(world.docker.host().all("/"), host);
    assert_eq!(world.down().await.unwrap(), Outcome::Changed);
    assert_eq!(world.left().await, Vec::<String>::new());
    assert_eq!(world.docker.host().all("/"), host);
    assert_eq!(world.down().await.unwrap(), Outcome::Unchanged);
}

#[tokio::test]
async fn a_failure_of_kind_rolls_everything_back_and_shows_kinds_words() {
    let world = World::new();
    let host = world.docker.host().all("/");
    world.kind.fail_next("could not find a log line");
    let events = Mutex::new(Vec::new());
    let error = world
        .up_with(&world.ctx(), &|event| events.lock().unwrap().push(event))
        .await;
    let error = error.unwrap_err();
    assert!(
        format!("{error:#}").contains("could not find a log line"),
        "{error:#}"
    );
    assert_eq!(world.left().await, Vec::<String>::new());
    assert_eq!(world.docker.host().all("/"), host);
    let events = events.into_inner().unwrap();
    assert!(events.iter().any(|event| matches!(
        event,
        Event::Step {
            what: StepEvent::Failed { .. },
            ..
        }
    )));
    assert!(events.iter().any(|event| matches!(
        event,
        Event::Step {
            what: StepEvent::Undone { .. },
            ..
        }
    )));
}

#[tokio::test]
async fn a_node_that_does_not_trust_fails_the_proof_in_its_own_words() {
    let world = World::new();
    let x509 = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    world.kube.pod_fails("c-worker2", "ErrImagePull", x509);
    let error = world.up().await.unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("c-worker2: ErrImagePull") && text.contains("x509"),
        "{text}"
    );
    assert!(
        !text.contains("c-worker:"),
        "only the node that failed is named: {text}"
    );
    assert_eq!(hints::exit(&error), Exit::NotReady);
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_not_ours_is_refused_and_left_alone() {
    for name in ["kindreg-c", "kindreg-c-registry", "kindreg-c-lock"] {
        let world = World::new();
        world.docker.create(&container(name)).await.unwrap();
        let before = world.docker.journal();
        let error = world.up().await.unwrap_err();
        assert_eq!(hints::exit(&error), Exit::Foreign, "{name}: {error:#}");
        let hint = hints::hint(&error).unwrap();
        assert!(hint.contains("docker rm"), "{name}: {hint}");
        let after = world.docker.journal();
        assert!(
            after == before || name == "kindreg-c-lock",
            "{name}: {after:#?}"
        );
        assert!(
            world.docker.container(name).await.unwrap().is_some(),
            "{name}"
        );
    }
    let world = World::new();
    let network = NetworkSpec {
        name: "kindreg-c".to_owned(),
        labels: [].into(),
        options: [].into(),
        ipv6_subnet: None,
    };
    world.docker.create_network(&network).await.unwrap();
    assert_eq!(hints::exit(&world.up().await.unwrap_err()), Exit::Foreign);
    assert_eq!(hints::exit(&world.down().await.unwrap_err()), Exit::Foreign);
    assert!(world.docker.network("kindreg-c").await.unwrap().is_some());

    let world = World::new();
    let volume = Volume {
        name: "kindreg-c-registry-data".to_owned(),
        labels: [].into(),
    };
    world.docker.create_volume(&volume).await.unwrap();
    assert_eq!(hints::exit(&world.up().await.unwrap_err()), Exit::Foreign);
    assert_eq!(hints::exit(&world.down().await.unwrap_err()), Exit::Foreign);
    assert!(world.docker.volume(&volume.name).await.unwrap().is_some());
}

#[tokio::test]
async fn a_kind_cluster_that_kindreg_did_not_make_is_left_alone() {
    let world = World::new();
    let mut node = container("c-control-plane");
    node.labels = [
        ("io.x-k8s.kind.cluster".to_owned(), "c".to_owned()),
        ("io.x-k8s.kind.role".to_owned(), "control-plane".to_owned()),
    ]
    .into();
    world.docker.create(&node).await.unwrap();
    assert_eq!(hints::exit(&world.up().await.unwrap_err()), Exit::Foreign);
    assert_eq!(hints::exit(&world.down().await.unwrap_err()), Exit::Foreign);
    assert!(
        world
            .docker
            .container("c-control-plane")
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_taken_port_is_named_and_everything_is_rolled_back() {
    let world = World::new();
    world.docker.occupy_port(5001);
    let error = world.up().await.unwrap_err();
    assert!(error.to_string().contains("port 5001"), "{error:#}");
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_image_that_is_not_to_be_had_stops_the_run_before_anything_is_made() {
    let mut world = World::new();
    distribution(&mut world.spec.registries[0]).image = "nowhere.test/registry:9".parse().unwrap();
    world.docker.refuse_image("nowhere.test/registry:9");
    let error = world.up().await.unwrap_err();
    assert!(
        error.to_string().contains("nowhere.test/registry:9"),
        "{error:#}"
    );
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn drift_is_repaired_and_nothing_else_is_touched() {
    let world = World::new();
    world.up().await.unwrap();
    let data = world.docker.files("kindreg-c-registry");
    data.write("/var/lib/registry/blob", 0o644, "image")
        .unwrap();

    let node = world.docker.files("c-worker");
    node.write(
        "/etc/containerd/certs.d/registry.test:5001/ca.crt",
        0o644,
        "another",
    )
    .unwrap();
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);

    world.docker.end_process("kindreg-c-registry", 1);
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);

    world.docker.remove("kindreg-c-registry").await.unwrap();
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    let data = world.docker.files("kindreg-c-registry");
    assert_eq!(
        data.read("/var/lib/registry/blob").unwrap(),
        b"image",
        "data outlive the container"
    );

    world.kube.set(kindreg::internal::layout::HOSTING, None);
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);

    let certs = "/etc/docker/certs.d/registry.test:5001/kindreg-c.crt";
    assert!(world.docker.host().remove(certs));
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert!(world.docker.host().read(certs).is_some());
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
}

#[tokio::test]
async fn other_peoples_files_in_certs_d_stay() {
    let world = World::new();
    let theirs = "/etc/docker/certs.d/registry.test:5001/company.crt";
    world.docker.host().write(theirs, 0o600, "theirs").unwrap();
    let before = world.docker.host().all("/");
    world.up().await.unwrap();
    world.down().await.unwrap();
    assert_eq!(world.docker.host().all("/"), before);
}

#[tokio::test]
async fn another_port_and_host_are_taken_on_and_nothing_of_the_old_ones_stays() {
    let mut world = World::new();
    let host = world.docker.host().all("/");
    world.up().await.unwrap();
    let data = world.docker.files("kindreg-c-registry");
    data.write("/var/lib/registry/blob", 0o644, "image")
        .unwrap();
    world.spec.registries[0].port = kindreg::spec::Port::new(5002).unwrap();
    world.spec.registries[0].host = "other.test".parse().unwrap();
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
    let data = world.docker.files("kindreg-c-registry");
    assert_eq!(data.read("/var/lib/registry/blob").unwrap(), b"image");
    let node = world
        .docker
        .files("c-worker")
        .list("/etc/containerd/certs.d");
    assert_eq!(node, ["localhost:5002", "other.test:5002"]);
    let certs = world.docker.host().list("/etc/docker/certs.d");
    assert_eq!(certs, ["localhost:5002", "other.test:5002"]);
    world.down().await.unwrap();
    assert_eq!(world.docker.host().all("/"), host);
}

#[tokio::test]
async fn a_registry_that_was_asked_for_and_never_came_is_no_obstacle_to_going_back() {
    let mut world = World::new();
    world.up().await.unwrap();
    let before = world.spec.clone();
    let mut more = before.registries[0].clone();
    more.name = "more".parse().unwrap();
    more.host = "more.test".parse().unwrap();
    more.port = kindreg::spec::Port::new(5002).unwrap();
    world.spec.registries.push(more);
    world.docker.occupy_port(5002);
    world.up().await.unwrap_err();

    let docker = std::sync::Arc::clone(&world.docker);
    let unchangeable = async |wanted: &kindreg::spec::Spec| {
        let asked = kindreg::internal::observe::recorded(&*docker, &wanted.cluster).await;
        let asked = asked.unwrap().unwrap();
        assert_eq!(asked.current.registries.len(), 2);
        asked.unchangeable(&*docker, wanted).await.unwrap()
    };
    assert_eq!(unchangeable(&before).await, None);
    let mut both = std::mem::replace(&mut world.spec, before.clone());
    world.up().await.unwrap();
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);

    // One that came has images, and they are not thrown away in passing.
    both.registries[1].port = kindreg::spec::Port::new(5003).unwrap();
    world.spec = both;
    world.up().await.unwrap();
    assert_eq!(
        unchangeable(&before).await.unwrap(),
        "has a registry more that is no longer configured"
    );
}

#[tokio::test]
async fn a_change_of_settings_that_is_cut_off_is_finished_or_removed_later() {
    for second in ["up", "down"] {
        let calls = {
            let mut world = World::new();
            world.up().await.unwrap();
            let before = world.docker.calls();
            world.spec.registries[0].port = kindreg::spec::Port::new(5002).unwrap();
            world.up().await.unwrap();
            world.docker.calls() - before
        };
        for number in (1..=calls).step_by(3) {
            let mut world = World::new();
            let host = world.docker.host().all("/");
            world.up().await.unwrap();
            world.spec.registries[0].port = kindreg::spec::Port::new(5002).unwrap();
            let call = world.docker.calls() + number;
            world
                .docker
                .fail_call(call, kindreg::internal::docker::fake::Fault::Error);
            let _ = world.up().await;
            if second == "up" {
                world.up().await.unwrap();
                assert_eq!(
                    world.up().await.unwrap(),
                    Outcome::Unchanged,
                    "call {number}"
                );
            }
            // `down` takes what the record says, not what was asked last.
            let asked = kindreg::internal::observe::recorded(&*world.docker, &world.spec.cluster)
                .await
                .unwrap();
            world.spec = asked.unwrap().current;
            world.down().await.unwrap();
            assert_eq!(
                world.left().await,
                Vec::<String>::new(),
                "{second}, call {number}"
            );
            assert_eq!(
                world.docker.host().all("/"),
                host,
                "{second}, call {number}"
            );
        }
    }
}

/// A script that asks a registry, which says this, and how often it was started.
fn asked(
    world: &World,
    code: i64,
    said: &'static str,
) -> std::sync::Arc<std::sync::atomic::AtomicUsize> {
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&count);
    world.docker.on_script(ASK, move |_, arguments, _| {
        assert_eq!(arguments[0], "https://registry.test:5001/v2/");
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        ExecOutput {
            code,
            stdout: said.as_bytes().to_vec(),
            stderr: Vec::new(),
        }
    });
    count
}

#[tokio::test]
async fn a_registry_that_does_not_answer_over_tls_is_not_ready_whatever_its_log_says() {
    let world = World::new();
    world
        .docker
        .logs_of_image("registry:3", "listening on [::]:5001, tls\n");
    let said = "curl: (60) SSL certificate problem: unable to get local issuer certificate";
    let asked = asked(&world, 1, said);
    let error = world.up().await.unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("does not answer over TLS") && text.contains(said),
        "{text}"
    );
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(world.left().await, Vec::<String>::new());
}
