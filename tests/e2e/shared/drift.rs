//! Each way in which a cluster drifts: `status` names it and says why, `up` repairs just that, and no image is lost.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

mod cases;

use crate::support::{SHARED, Scene, Shared, attempt, docker, exec, kubectl, sh};
use crate::walk;

const WORKER: &str = "e2e-shared-worker";
const WORKER2: &str = "e2e-shared-worker2";
const CONTROL_PLANE: &str = "e2e-shared-control-plane";
/// The port that is asked for in the course of the test.
const OTHER_PORT: u16 = 5932;
const OTHER_IMAGE: &str = "registry:e2e-drift";
const JOINED: &str = "e2e-shared-worker3";
const HOSTING: [&str; 4] = ["configmap", "-n", "kube-public", "local-registry-hosting"];

// Steps, by their ids.
const CONTAINERD: &str = "node.containerd";
const CONFIG_MAP: &str = "cluster.hosting";
const NODES: &str = "node.containers";
const PASSWORD: &str = "node.credentials";
const READY: &str = "cluster.nodes-ready";
const RECORD: &str = "cluster.record";
const SETTLED: &str = "cluster.settled";
const REGISTRY: &str = "registry.container/registry";
const SERVICE: &str = "registry.service/registry";
const PROOF_IMAGE: &str = "proof.image/registry";
const PROOF: &str = "proof.pull/registry";
const TRUST: &str = "node.trust";

/// A drift, as it has to be told and repaired.
struct Drift {
    /// What was done, for whoever reads along.
    done: &'static str,
    /// What is asked for besides what the record has.
    asks: Vec<&'static str>,
    /// The part that `status` has to name, and how it is.
    part: (String, &'static str),
    /// Words of the reason.
    why: String,
    /// The steps that `up` has to apply.
    repairs: Vec<String>,
    /// Those that it may apply, as Kubernetes finds out sooner or later.
    may: Vec<String>,
}

impl Drift {
    fn new(done: &'static str, part: impl Into<String>, why: impl Into<String>) -> Self {
        let part = part.into();
        Self {
            done,
            asks: Vec::new(),
            repairs: vec![part.clone()],
            part: (part, "drifted"),
            why: why.into(),
            may: Vec::new(),
        }
    }

    /// Of something that is not there there is nothing more to say.
    fn missing(done: &'static str, part: impl Into<String>) -> Self {
        let mut drift = Self::new(done, part, "");
        drift.part.1 = "missing";
        drift
    }

    fn repaired_with(mut self, steps: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.repairs.extend(steps.into_iter().map(Into::into));
        self
    }

    fn perhaps_with(mut self, steps: &[&str]) -> Self {
        self.may.extend(steps.iter().map(ToString::to_string));
        self
    }

    /// The nodes are proven again. What a step beside the push finds different, the proof itself pushes for.
    fn proven(self) -> Self {
        self.repaired_with([PROOF]).perhaps_with(&[PROOF_IMAGE])
    }

    /// `status` tells it, `up` repairs it and nothing else, and the registry has its image.
    #[track_caller]
    fn told_and_repaired(self, scene: &Scene) {
        let (part, state) = &self.part;
        let report = json_status(scene, &self.asks, 3);
        let found = report["parts"].as_array().unwrap().iter();
        let mut found = found.filter(|found| found["id"] == part.as_str());
        let found = found.next().unwrap();
        assert_eq!(found["state"], *state, "{report:#}");
        let title = found["part"].as_str().unwrap();
        let told = status(scene, &self.asks).exits(3).prints(title);
        let said = told.stdout.lines().find(|line| line.contains(title));
        assert!(
            said.is_some_and(|line| line.contains(&self.why)),
            "{}: {:?} is not the reason: {told}",
            self.done,
            self.why
        );

        let number = scene.port.to_string();
        let mut arguments = vec!["up", "--name", SHARED, "--workers", "2"];
        if !self.asks.contains(&"--port") {
            arguments.extend(["--port", &number]);
        }
        arguments.extend(["--events", "json"]);
        let up = scene.call(&arguments).args(&self.asks).run();
        let up = up.exits(0).prints("Ready: ");
        let wanted: BTreeSet<&str> = self.repairs.iter().map(String::as_str).collect();
        let mut applied = applied(&up.stderr);
        applied.retain(|step| wanted.contains(step.as_str()) || !self.may.contains(step));
        let applied: BTreeSet<&str> = applied.iter().map(String::as_str).collect();
        assert_eq!(applied, wanted, "{}", self.done);
        println!(
            "   {}: repaired in {:.1} s",
            self.done,
            up.took.as_secs_f64()
        );
    }
}

#[track_caller]
fn status(scene: &Scene, asks: &[&str]) -> crate::support::Ended {
    scene.call(&["status", "--name", SHARED]).args(asks).run()
}

#[track_caller]
fn json_status(scene: &Scene, asks: &[&str], code: i32) -> Value {
    let all = [asks, &["--json"]].concat();
    serde_json::from_str(&status(scene, &all).exits(code).stdout).unwrap()
}

/// The steps that a run with `--events json` applied.
fn applied(conversation: &str) -> Vec<String> {
    let events = conversation.lines().map(|line| {
        let event: Value = serde_json::from_str(line).expect("every line is an event");
        event
    });
    let started = events.filter(|event| event["event"] == "started");
    started
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Everything is ready, and the image that the user pushed at first is still there.
#[track_caller]
fn is_whole(scene: &Scene) {
    status(scene, &[]).exits(0).prints("is ready");
    let tags = walk::from_registry(scene, "e2e/app/tags/list");
    assert_eq!(tags["tags"], json!(["1"]), "the registry forgot an image");
}

/// The shared cluster with an image of the user's own.
#[track_caller]
fn cluster() -> Shared {
    let scene = Shared::cluster();
    walk::an_image_of_the_users_own_runs(&scene);
    is_whole(&scene);
    scene
}

#[track_caller]
fn each_is_told_and_repaired(scene: &Scene, cases: Vec<cases::Case>) {
    for (breaks, drift) in cases {
        breaks(scene);
        drift.told_and_repaired(scene);
        is_whole(scene);
    }
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn in_the_files_of_nodes_each_drift_is_named_and_repaired_alone() {
    let scene = cluster();
    each_is_told_and_repaired(&scene, cases::nodes_files(&scene));
    a_node_is_joined(&scene);
    kubectl(SHARED, &["delete", "node", JOINED]);
    docker(&["rm", "-f", "-v", JOINED]);
    scene.is_reset();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn of_everything_else_each_drift_is_named_and_repaired_alone() {
    // A run of this test that was killed may have left it.
    attempt("docker", &["image", "rm", OTHER_IMAGE]);
    let mut scene = cluster();
    each_is_told_and_repaired(&scene, cases::all_others(&scene));
    another_port_is_wanted(&mut scene);
    another_image_is_wanted(&scene);
    scene.is_reset();
    docker(&["image", "rm", OTHER_IMAGE]);
}

/// Asked for by the flag of `up`, and of `status` to see what that would come to.
#[track_caller]
fn another_port_is_wanted(scene: &mut Scene) {
    let (old, old_local) = (scene.domain(), scene.local_domain());
    let old_port = std::mem::replace(&mut scene.port, OTHER_PORT);
    let (domain, local) = (scene.domain(), scene.local_domain());
    let why = format!("port {old_port} → {OTHER_PORT}");
    let host = |domain: &str| format!("host.trust/{domain}");
    let mut drift = Drift::new("another port wanted", RECORD, why)
        .repaired_with([REGISTRY, TRUST, PASSWORD, CONFIG_MAP])
        .repaired_with([
            SERVICE.to_owned(),
            host(&domain),
            host(&local),
            format!("retired.{}", host(&old)),
            format!("retired.{}", host(&old_local)),
            format!("retired.{TRUST}"),
            format!("retired.{PASSWORD}"),
            SETTLED.to_owned(),
        ])
        .proven();
    drift.asks = vec!["--port", "5932"];
    drift.told_and_repaired(scene);
    is_whole(scene);
}

#[track_caller]
fn another_image_is_wanted(scene: &Scene) {
    let image = std::env::var("KINDREG_REGISTRY_IMAGE").unwrap();
    docker(&["tag", &image, OTHER_IMAGE]);
    let why = format!("image {image} → {OTHER_IMAGE}");
    let mut drift = Drift::new("another image wanted", RECORD, why)
        .repaired_with([REGISTRY, SERVICE, SETTLED])
        .proven();
    // From then on it is asked for each time, as the tests' environment names the first one.
    let asks = ["--registry-image", OTHER_IMAGE];
    drift.asks = asks.to_vec();
    drift.told_and_repaired(scene);
    status(scene, &asks).exits(0);
    let tags = walk::from_registry(scene, "e2e/app/tags/list");
    assert_eq!(tags["tags"], json!(["1"]), "the registry forgot an image");
}

/// A worker made as kind makes one, but for what kind does to its containerd, and joined by kubeadm.
#[track_caller]
fn a_node_is_joined(scene: &Scene) {
    let image = std::env::var("KINDREG_IMAGE").unwrap();
    let role = "io.x-k8s.kind.role=worker";
    let cluster = format!("io.x-k8s.kind.cluster={SHARED}");
    let network = format!("kindreg-{SHARED}");
    docker(
        &[
            &["run", "--detach", "--tty", "--privileged", "--init=false"][..],
            &["--name", JOINED, "--hostname", JOINED, "--label", role],
            &["--label", &cluster, "--net", &network, "--cgroupns=private"],
            &[
                "--restart=on-failure:1",
                "--tmpfs",
                "/tmp",
                "--tmpfs",
                "/run",
            ],
            &["--security-opt", "seccomp=unconfined", "--volume", "/var"],
            &["--volume", "/lib/modules:/lib/modules:ro", &image],
        ]
        .concat(),
    );
    let started = Instant::now();
    while !attempt("docker", &["exec", JOINED, "ctr", "version"]).ok {
        assert!(started.elapsed() < Duration::from_secs(60), "no containerd");
        std::thread::sleep(Duration::from_millis(200));
    }
    let join = sh(CONTROL_PLANE, "kubeadm token create --print-join-command");
    sh(
        JOINED,
        &format!("{} --ignore-preflight-errors=all", join.trim()),
    );

    let told = format!("missing on {JOINED}");
    let drift = Drift::new("a node joined", TRUST, told)
        .repaired_with([CONTAINERD, PASSWORD])
        .proven()
        .perhaps_with(&[READY]);
    let report = json_status(scene, &[], 3);
    let node = report["nodes"].as_array().unwrap().last().unwrap();
    assert_eq!(node["name"], JOINED);
    assert_eq!(
        (&node["running"], &node["trust"]),
        (&json!(true), &json!("missing"))
    );
    let differs: Vec<&str> = node["differs"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(
        differs,
        [
            "containerd: config_path not set",
            "trust: missing",
            "password: missing",
            "not proven with registry"
        ]
    );
    drift.told_and_repaired(scene);
    status(scene, &[]).exits(0);
    let verify = scene.verify().args(&["--strict", "--json"]).run().exits(0);
    let table: Value = serde_json::from_str(&verify.stdout).unwrap();
    let rows = table["nodes"].as_array().unwrap();
    assert_eq!(rows.len(), 4, "{table:#}");
    for row in rows {
        assert_eq!(
            (&row["pull"], &row["withoutCa"]),
            (&json!("proven"), &json!("refused"))
        );
    }
    let port = scene.port.to_string();
    let again = ["up", "--name", SHARED, "--workers", "2", "--port", &port];
    let again = scene.call(&again).run();
    again.exits(0).prints("Nothing to do");

    one_node_that_can_t_pull_is_in_the_table(scene);
}

/// With `--json` a program sees each node, those that fail with their own words.
#[track_caller]
fn one_node_that_can_t_pull_is_in_the_table(scene: &Scene) {
    let path = format!("/etc/containerd/certs.d/{}/ca.crt", scene.domain());
    exec(JOINED, &["mv", &path, "/ca.crt"]);
    let verify = scene.verify().args(&["--json"]).run().exits(3);
    let table: Value = serde_json::from_str(&verify.stdout).unwrap();
    for row in table["nodes"].as_array().unwrap() {
        let fails = row["node"] == JOINED;
        assert_eq!(
            row["pull"],
            if fails { "refused" } else { "proven" },
            "{table:#}"
        );
        let why = row["why"].as_str().unwrap_or_default();
        assert_eq!(why.contains("CA cert"), fails, "{table:#}");
    }
    exec(JOINED, &["mv", "/ca.crt", &path]);
}
