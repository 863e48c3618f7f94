//! "Verified" means verified: no node is proven whose settings may make containerd accept another certificate.

use std::sync::{Arc, Mutex};

use kindreg::events::Event;
use kindreg::fakes::{CHANGED_FILES, Machine};
use kindreg::internal::docker::{Docker, ExecOutput};
use kindreg::internal::engine::Lock;
use kindreg::internal::hints;
use kindreg::internal::problem::Exit;
use kindreg::internal::steps::registry::ASK;
use kindreg::ops::{self, Negative, Nobody, UpOptions};
use kindreg::report::{Condition, NodeVerification, Pull, WithoutCa};
use serde_json::json;

use crate::json::request;
use crate::world::{CONTAINERD_CONFIG, World, spec_with_mirrors};

const CERTS: &str = "/etc/containerd/certs.d";
const INSECURE: &str = "server = \"https://registry.test:5001\"\nskip_verify = true\n";

async fn ready(world: World) -> World {
    world.up().await.unwrap();
    world
}

/// What `verify` says of one node, and its exit code.
async fn verified(world: &World, node: &str, negative: Negative) -> (Vec<NodeVerification>, Exit) {
    let client = world.client();
    let finished = ops::verify(&client, &world.spec.cluster, negative).await;
    let finished = finished.unwrap();
    let exit = finished
        .failure
        .map_or(Exit::Done, |error| hints::exit(&error));
    let mut rows = finished.report.nodes;
    rows.retain(|row| row.node == node);
    (rows, exit)
}

/// The reasons of `status` for everything that is not ready, and its words about one node.
async fn told(world: &World, node: &str) -> String {
    let report = ops::status(&world.client(), &request(world)).await.unwrap();
    assert_ne!(report.state, Condition::Ready);
    let parts = report.parts.into_iter().filter_map(|part| part.why);
    let nodes = report.nodes.into_iter().filter(|found| found.name == node);
    let differs = nodes.flat_map(|node| node.differs);
    parts.chain(differs).collect::<Vec<_>>().join("\n")
}

async fn up(world: &World) -> anyhow::Result<bool> {
    let (client, options) = (world.client(), UpOptions::default());
    let made = ops::up(&client, &request(world), &options, &Nobody).await?;
    Ok(made.report.changed)
}

/// The node is not proven, `status` says why, and `up` leaves alone what is somebody else's until that is gone.
async fn is_refused_until_removed(world: &World, path: &str, words: &str) {
    let node = world.docker.files("c-worker");
    let (rows, exit) = verified(world, "c-worker", Negative::LeftOut).await;
    assert_eq!(exit, Exit::NotReady, "{path}");
    let doubted = rows.iter().find(|row| row.pull == Pull::Unverified);
    let doubted = doubted.unwrap_or_else(|| panic!("{path}: {rows:?}"));
    let why = doubted.why.as_deref().unwrap_or_default();
    assert!(why.contains(words), "{why}");
    let said = told(world, "c-worker").await;
    assert!(said.contains(words), "{said}");

    let before = node.read(path);
    let error = up(world).await.unwrap_err();
    assert_eq!(hints::exit(&error), Exit::Foreign, "{error:#}");
    assert!(format!("{error:#}").contains("c-worker"), "{error:#}");
    let hint = hints::hint(&error).unwrap();
    assert!(hint.contains("docker exec c-worker "), "{hint}");
    assert_eq!(node.read(path), before, "{path} is not kindreg's");
}

#[tokio::test]
async fn a_hosts_toml_that_skips_verification_is_named_refused_and_repaired() {
    let world = ready(World::new()).await;
    let node = world.docker.files("c-worker");
    let folder = format!("{CERTS}/registry.test:5001");
    let hosts = format!("{folder}/hosts.toml");
    node.write(&hosts, 0o644, INSECURE).unwrap();
    node.write(&format!("{folder}/ca.crt"), 0o644, "another CA\n")
        .unwrap();

    for negative in [Negative::LeftOut, Negative::Proven] {
        let (rows, exit) = verified(&world, "c-worker", negative).await;
        assert_eq!((rows[0].pull, exit), (Pull::Unverified, Exit::NotReady));
        let why = rows[0].why.clone().unwrap();
        assert!(why.contains("registry.test:5001/hosts.toml"), "{why}");
    }
    let (rows, _) = verified(&world, "c-worker2", Negative::LeftOut).await;
    assert_eq!(rows[0].pull, Pull::Proven, "the other node is");
    let said = told(&world, "c-worker").await;
    assert!(
        said.contains("trust: registry.test:5001/ca.crt, registry.test:5001/hosts.toml"),
        "{said}"
    );

    assert!(up(&world).await.unwrap());
    assert!(!String::from_utf8_lossy(&node.read(&hosts).unwrap()).contains("skip_verify"));
    let (rows, exit) = verified(&world, "c-worker", Negative::LeftOut).await;
    assert_eq!((rows[0].pull, exit), (Pull::Proven, Exit::Done));
}

#[tokio::test]
async fn a_folder_that_containerd_reads_before_ours_is_named_and_refused() {
    let world = ready(World::new()).await;
    let node = world.docker.files("c-worker");
    for folder in ["registry.test_5001_", "localhost_5001_"] {
        let path = format!("{CERTS}/{folder}/hosts.toml");
        node.write(&path, 0o644, INSECURE).unwrap();
        is_refused_until_removed(&world, &path, &format!("{folder} is read before")).await;
        assert!(node.remove(&format!("{CERTS}/{folder}")));
        up(&world).await.unwrap();
        assert_eq!(
            verified(&world, "c-worker", Negative::LeftOut).await.1,
            Exit::Done
        );
    }
    // containerd takes it only where a registry has no folder.
    node.write(&format!("{CERTS}/_default/hosts.toml"), 0o644, INSECURE)
        .unwrap();
    assert_eq!(
        verified(&world, "c-worker", Negative::LeftOut).await.1,
        Exit::Done
    );
    assert!(!up(&world).await.unwrap());
}

#[tokio::test]
async fn a_file_of_somebody_else_in_our_folder_is_named_and_left_alone() {
    let world = ready(World::new()).await;
    let node = world.docker.files("c-worker");
    let path = format!("{CERTS}/registry.test:5001/other.crt");
    node.write(&path, 0o644, "a CA\n").unwrap();
    is_refused_until_removed(
        &world,
        &path,
        "registry.test:5001/other.crt was not written by kindreg",
    )
    .await;
}

#[tokio::test]
async fn a_node_without_any_file_of_ours_and_a_folder_before_it_is_not_called_missing() {
    let world = ready(World::new()).await;
    let node = world.docker.files("c-worker");
    assert!(node.remove(CERTS));
    let path = format!("{CERTS}/registry.test_5001_/hosts.toml");
    node.write(&path, 0o644, INSECURE).unwrap();
    is_refused_until_removed(&world, &path, "registry.test_5001_ is read before").await;
    assert_eq!(
        node.list(CERTS),
        ["registry.test_5001_"],
        "nothing was written"
    );
}

#[tokio::test]
async fn a_configuration_that_reads_other_folders_first_or_skips_verification_is_refused() {
    let world = ready(World::new()).await;
    let node = world.docker.files("c-worker");
    let good = node.read(CONTAINERD_CONFIG).unwrap();
    let good = String::from_utf8(good.clone()).unwrap();
    let earlier = good.replace(CERTS, &format!("/etc/mirrors:{CERTS}"));
    assert_ne!(earlier, good);
    node.write(CONTAINERD_CONFIG, 0o644, earlier).unwrap();
    assert_eq!(
        verified(&world, "c-worker", Negative::LeftOut).await.1,
        Exit::Done,
        "nothing is there"
    );
    for folder in ["_default", "registry.test:5001", "registry.test_5001_"] {
        let path = format!("/etc/mirrors/{folder}/hosts.toml");
        node.write(&path, 0o644, INSECURE).unwrap();
        is_refused_until_removed(
            &world,
            &path,
            &format!("/etc/mirrors/{folder} is read before"),
        )
        .await;
        assert!(node.remove(&format!("/etc/mirrors/{folder}")));
    }
    let tls = "[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"registry.test:5001\".tls]\ninsecure_skip_verify = true\n";
    node.write(CONTAINERD_CONFIG, 0o644, format!("{good}\n{tls}"))
        .unwrap();
    is_refused_until_removed(&world, CONTAINERD_CONFIG, "insecure_skip_verify").await;
    // The same in a file that the configuration imports.
    let imports = format!("imports = [\"/etc/containerd/more/*.toml\"]\n{good}");
    node.write(CONTAINERD_CONFIG, 0o644, imports).unwrap();
    assert_eq!(
        verified(&world, "c-worker", Negative::LeftOut).await.1,
        Exit::Done,
        "nothing is imported"
    );
    let path = "/etc/containerd/more/a.toml";
    for (text, words) in [
        (tls.to_owned(), "insecure_skip_verify"),
        (
            "[plugins.\"io.containerd.cri.v1.images\".registry]\nconfig_path = \"/etc/x\"\n"
                .to_owned(),
            "config_path is /etc/x",
        ),
    ] {
        node.write(path, 0o644, text).unwrap();
        is_refused_until_removed(&world, path, words).await;
    }
    let elsewhere = format!("imports = [\"/root/*.toml\"]\n{good}");
    node.write(CONTAINERD_CONFIG, 0o644, elsewhere).unwrap();
    is_refused_until_removed(&world, CONTAINERD_CONFIG, "imports /root/*.toml").await;
}

#[tokio::test]
async fn a_link_in_place_of_containerd_s_configuration_is_not_taken_for_an_empty_one() {
    let world = ready(World::new()).await;
    let node = world.docker.files("c-worker");
    let good = node.read(CONTAINERD_CONFIG).unwrap();
    node.write("/root/config.toml", 0o644, good.clone())
        .unwrap();
    assert!(node.remove(CONTAINERD_CONFIG));
    node.link(CONTAINERD_CONFIG, "/root/config.toml").unwrap();
    let (rows, exit) = verified(&world, "c-worker", Negative::LeftOut).await;
    assert_eq!((rows[0].pull, exit), (Pull::Unverified, Exit::NotReady));
    let why = rows[0].why.as_deref();
    assert_eq!(
        why,
        Some("/etc/containerd/config.toml is not a regular file")
    );
    assert!(node.remove(CONTAINERD_CONFIG));
    node.write(CONTAINERD_CONFIG, 0o644, good).unwrap();
    let (_, exit) = verified(&world, "c-worker", Negative::LeftOut).await;
    assert_eq!(exit, Exit::Done);
}

#[tokio::test]
async fn a_configuration_that_containerd_has_not_read_is_named_with_the_restart() {
    let world = ready(World::new()).await;
    let node = world.docker.files("c-worker");
    let changed = format!("{CONTAINERD_CONFIG}\n");
    node.write(CHANGED_FILES, 0o644, changed).unwrap();
    for negative in [Negative::LeftOut, Negative::Proven] {
        let (rows, exit) = verified(&world, "c-worker", negative).await;
        assert_eq!((rows[0].pull, exit), (Pull::Unverified, Exit::NotReady));
        let why = rows[0].why.as_deref();
        assert_eq!(
            why,
            Some("/etc/containerd/config.toml was changed after containerd had started")
        );
    }
    let (client, cluster) = (world.client(), &world.spec.cluster);
    let finished = ops::verify(&client, cluster, Negative::LeftOut).await;
    let failure = finished.unwrap().failure.unwrap();
    assert_eq!(
        hints::hint(&failure).as_deref(),
        Some("run: docker exec c-worker systemctl restart containerd")
    );
    assert!(node.remove(CHANGED_FILES));
    let (_, exit) = verified(&world, "c-worker", Negative::LeftOut).await;
    assert_eq!(exit, Exit::Done);
}

#[tokio::test]
async fn mirrors_are_held_to_the_same() {
    let world = ready(World {
        spec: spec_with_mirrors(),
        ..World::with_mirrors()
    })
    .await;
    let node = world.docker.files("c-control-plane");
    // The folders by which nodes pull what is mirrored, by digest or by a name that has no folder.
    for folder in ["upstream.test:5000", "_default"] {
        let path = format!("{CERTS}/{folder}/hosts.toml");
        let ours = node.read(&path).unwrap();
        let mut text = String::from_utf8(ours.clone()).unwrap();
        text.push_str("  skip_verify = true\n");
        node.write(&path, 0o644, text).unwrap();
        let (rows, exit) = verified(&world, "c-control-plane", Negative::LeftOut).await;
        assert_eq!(exit, Exit::NotReady);
        let doubted: Vec<_> = rows
            .iter()
            .filter(|row| row.pull == Pull::Unverified)
            .collect();
        assert_eq!(doubted.len(), 1, "{folder}: {rows:?}");
        assert!(
            told(&world, "c-control-plane")
                .await
                .contains(&format!("{folder}/hosts.toml"))
        );
        world.up().await.unwrap();
        assert_eq!(node.read(&path).unwrap(), ours);
    }
    for folder in ["upstream.test_5000_", "kindreg-proof.invalid"] {
        let path = format!("{CERTS}/{folder}/hosts.toml");
        node.write(&path, 0o644, INSECURE).unwrap();
        let (_, exit) = verified(&world, "c-control-plane", Negative::LeftOut).await;
        assert_eq!(exit, Exit::NotReady, "{folder}");
        let error = world.up().await.unwrap_err();
        assert_eq!(hints::exit(&error), Exit::Foreign, "{error:#}");
        assert!(node.remove(&format!("{CERTS}/{folder}")));
    }
}

#[tokio::test]
async fn a_mirror_s_settings_by_somebody_else_are_not_taken_over() {
    let mut world = World::with_mirrors();
    let mirrors = world.spec.registries.split_off(1);
    let world = ready(world).await;
    let node = world.docker.files("c-control-plane");
    let path = format!("{CERTS}/_default/hosts.toml");
    node.write(&path, 0o644, "server = \"https://company.example\"\n")
        .unwrap();
    let mut with_mirrors = world;
    with_mirrors.spec.registries.extend(mirrors);
    let error = with_mirrors.up().await.unwrap_err();
    assert_eq!(hints::exit(&error), Exit::Foreign, "{error:#}");
    let kept = node.read(&path).unwrap();
    assert_eq!(kept, b"server = \"https://company.example\"\n");
}

#[tokio::test]
async fn only_an_unknown_authority_counts_as_the_refusal_that_strict_wants() {
    let world = ready(World::new()).await;
    for (words, without_ca) in [
        (
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            WithoutCa::Refused,
        ),
        (
            "tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
            WithoutCa::NotRefused,
        ),
        (
            "x509: certificate is valid for other.test, not registry.test",
            WithoutCa::NotRefused,
        ),
    ] {
        world.kube.pod_fails("c-worker", "ErrImagePull", words);
        let (rows, exit) = verified(&world, "c-worker", Negative::Proven).await;
        assert_eq!(
            (rows[0].without_ca, exit),
            (without_ca, Exit::NotReady),
            "{words}"
        );
    }
    let left = world.docker.files("c-worker").list(CERTS);
    assert_eq!(left, ["localhost:5001", "registry.test:5001"]);
}

#[tokio::test]
async fn verify_waits_while_another_kindreg_works_on_the_cluster() {
    let world = ready(World::new()).await;
    let held = world.lock().acquire(&world.ctx()).await.unwrap();
    let before = world.docker.journal();
    let notes = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&notes);
    let client = world.client().with_listener(move |event| {
        if let Event::Note(text) = event {
            told.lock().unwrap().push(text);
        }
    });
    let waits = async || {
        while notes.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.docker.journal(), before, "it does nothing meanwhile");
        held.release().await;
    };
    let verify = ops::verify(&client, &world.spec.cluster, Negative::Proven);
    let (finished, ()) = tokio::join!(verify, waits());
    assert_eq!(finished.unwrap().report.nodes[0].pull, Pull::Proven);
    assert!(notes.lock().unwrap()[0].contains("waiting for another kindreg"));
    assert_eq!(
        world.docker.container("kindreg-c-lock").await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_proof_s_pod_that_is_evicted_or_deleted_is_made_again() {
    let world = ready(World::new()).await;
    world.kube.pod_is_evicted("c-worker");
    let (rows, exit) = verified(&world, "c-worker", Negative::LeftOut).await;
    assert_eq!((rows[0].pull, exit), (Pull::Proven, Exit::Done));
}

#[tokio::test]
async fn a_pod_that_an_earlier_run_left_on_a_stopped_node_proves_nothing() {
    let world = ready(World::new()).await;
    let path = "/api/v1/namespaces/default/pods/kindreg-proof-registry-c-worker";
    let pod = json!({
        "metadata": {"name": "kindreg-proof-registry-c-worker", "labels": {"dev.kindreg.pod": "registry"}},
        "spec": {"nodeName": "c-worker"}, "status": {"phase": "Succeeded"},
    });
    world.kube.set(path, Some(pod));
    world.docker.end_process("c-worker", 1);
    let (rows, _) = verified(&world, "c-worker", Negative::LeftOut).await;
    assert_eq!(rows[0].pull, Pull::Refused);
    assert_eq!(rows[0].why.as_deref(), Some("the node is stopped"));
}

#[tokio::test]
async fn up_says_answered_of_a_registry_from_which_nothing_was_pulled() {
    let machine = Machine::new().unwrap();
    let text = "[registry.registry]\n[registry.company]\nbackend = \"external\"\nhost = \"nexus.company.test\"\nauth = false\n";
    let path = machine.home().join("kindreg.toml");
    std::fs::write(&path, text).unwrap();
    let made = async |arguments: &[&str]| -> serde_json::Value {
        let answer = machine
            .run(&[&["up", "--json", "--yes"], arguments].concat())
            .await;
        assert_eq!(answer.code, 0, "{answer:?}");
        serde_json::from_str(&answer.stdout).unwrap()
    };
    let of = |made: &serde_json::Value| {
        let registries = made["registries"].as_array().unwrap().iter();
        let each: Vec<_> = registries.map(|one| one["proof"].clone()).collect();
        (made["proof"]["nodes"].clone(), each)
    };
    let not_proven = json!("not proven");
    assert_eq!(
        of(&made(&["--no-verify"]).await),
        (not_proven.clone(), vec![not_proven.clone(), not_proven])
    );
    let (proven, answered) = (json!("proven"), json!("answered"));
    assert_eq!(
        of(&made(&[]).await),
        (answered.clone(), vec![proven.clone(), answered])
    );
    let named = format!("{text}proof = \"team/base:1\"\n");
    std::fs::write(&path, named).unwrap();
    assert_eq!(
        of(&made(&[]).await),
        (proven.clone(), vec![proven.clone(), proven])
    );
}

#[tokio::test]
async fn a_clock_that_is_hours_off_is_named_as_the_cause() {
    let world = ready(World::new()).await;
    let x509 = "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2020-01-01T00:00:00Z is before 2026-01-01T00:00:00Z";
    world.kube.pod_fails("c-worker", "ErrImagePull", x509);
    let finished = ops::verify(&world.client(), &world.spec.cluster, Negative::LeftOut).await;
    let hint = hints::hint(&finished.unwrap().failure.unwrap()).unwrap();
    assert!(
        hint.starts_with("the clock of the engine's host is "),
        "{hint}"
    );
    assert!(
        hint.contains(" days behind this machine's; set it, then run: kindreg "),
        "{hint}"
    );

    // Before that, the registry does not count as ready.
    let world = World::new();
    world.docker.on_script(ASK, |_, _, _| ExecOutput {
        code: 1,
        stdout: b"000curl: (60) SSL certificate problem: certificate is not yet valid\ncurrent time 2020-01-01T00:00:00Z\n".to_vec(),
        stderr: Vec::new(),
    });
    let error = world.up().await.unwrap_err();
    let hint = hints::hint(&error).unwrap();
    assert!(
        hint.starts_with("the clock of the engine's host is "),
        "{hint} {error:#}"
    );
}
