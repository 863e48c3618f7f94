//! Exactly what people see: stdout, stderr and exit code of every command's common cases and of its failures.
//!
//! Each test compares one file of `data/snapshots` as a whole; `KINDREG_BLESS=1` writes them.

use std::collections::BTreeMap;

use kindreg::fakes::Answer;
use kindreg::internal::docker::{Docker, EngineInfo, NetworkSpec, Product, Volume};
use kindreg::internal::kind::Kind;

use crate::cli::{self, COMMANDS};
use crate::config::authority;
use crate::snapshot;
use crate::stage::{Stage, shown};

const X509: &str = "failed to pull and unpack image: failed to do request: Head \"https://registry.test:5001/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority";

/// An external registry that nodes find by DNS and that has a public CA, with docker's own login.
const EXTERNAL: &str =
    "[registry.company]\nbackend = \"external\"\nhost = \"nexus.company.internal\"\nport = 8443\n";
/// An external registry that needs consent.
const PINNED: &str = "[registry.company]\nbackend = \"external\"\nhost = \"nexus.company.internal\"\nport = 8443\n\
                      address = \"10.0.0.5\"\nca = \"ca.pem\"\n";

#[test]
fn help() {
    let mut text = String::new();
    for command in std::iter::once("").chain(COMMANDS) {
        let line = format!("{command} --help");
        let words: Vec<&str> = line.split_whitespace().collect();
        let cli::Answer {
            code,
            stdout,
            stderr,
        } = cli::kindreg(&words).run();
        let answer = Answer {
            code,
            stdout,
            stderr,
        };
        text.push_str(&shown(line.trim(), &answer));
    }
    snapshot::same("snapshots/help.txt", &text);
}

#[tokio::test]
async fn usage_errors() {
    let mut stage = Stage::new("usage");
    for line in [
        "",
        "ups",
        "up --worker 2",
        "down --timeout 0",
        "up -q -v",
        "init --schema --force",
        "env --format yaml",
        "env --prefix 1x",
        "secret --namespace A_b",
        "up --password-file missing.txt",
        "status --config missing.toml",
    ] {
        stage.run(line).await;
    }
    stage.is_as_kept();
}

#[tokio::test]
async fn up_from_nothing_and_again() {
    let mut stage = Stage::new("up");
    stage.run("up --workers 2").await;
    stage.run("up --workers 2").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn up_dry_run() {
    let mut stage = Stage::new("up-dry-run");
    stage.run("up --dry-run").await;
    stage.run("up --dry-run --json").await;
    stage.machine.run(&["up"]).await;
    stage.note("after kindreg up");
    stage.run("up --dry-run").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn up_json() {
    let mut stage = Stage::new("up-json");
    stage.run("up --json --quiet").await;
    stage.run("up --json").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn up_without_verification_or_password() {
    let mut stage = Stage::new("up-no-verify");
    stage.run("up --no-verify --no-auth").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn up_with_an_external_registry() {
    let mut stage = Stage::new("up-external")
        .file("kindreg.toml", PINNED)
        .file("ca.pem", &authority());
    stage.run("up").await;
    stage.run_with_answers("up", &["n"]).await;
    stage.run("up --yes").await;
    stage
        .run_with_answers("up", &["y", "robot", "s3cret"])
        .await;
    stage.run("status").await;
    stage.run("login").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn up_with_credentials_that_are_missing() {
    let variables = "username_env = \"NEXUS_USR\"\npassword_env = \"NEXUS_PSW\"\n";
    let mut stage = Stage::new("up-credentials").file("kindreg.toml", EXTERNAL);
    stage.run("up").await;
    stage.run("up --yes").await;
    let mut stage = stage.file("kindreg.toml", &format!("{EXTERNAL}{variables}"));
    stage.note("with username_env and password_env in kindreg.toml");
    stage.run("up --yes").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn up_asks_for_consent() {
    let upstream = "[registry.cache]\nport = 5002\nmirror_of = \"nexus.company.com\"\nupstream_ca = \"ca.pem\"\n\
                    upstream_username_env = \"U\"\nupstream_password_env = \"P\"\n";
    let mut stage = Stage::new("up-consent").file("ca.pem", &authority());
    stage.run("up --host registry.example.com").await;
    stage
        .run_with_answers("up --host registry.example.com", &["no"])
        .await;
    let mut stage = stage.file("kindreg.toml", upstream);
    stage.note("with mirror_of = \"nexus.company.com\" in kindreg.toml");
    stage.run_with_answers("up", &["y", "n"]).await;
    stage.is_as_kept();
}

#[tokio::test]
async fn up_repairs() {
    let mut stage = Stage::after("up-repair", "up --workers 1").await;
    stage.note("hosts.toml was removed from a node");
    let node = stage.machine.docker().files("kindreg-worker");
    assert!(node.remove("/etc/containerd/certs.d/registry.test:5001/hosts.toml"));
    stage.run("status --workers 1").await;
    stage.run("up --workers 1").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn up_changes_settings() {
    let mut stage = Stage::after("up-change", "up --workers 1").await;
    stage.run("up --workers 1 --port 5002 --dry-run").await;
    stage.run("up --workers 1 --port 5002").await;
    stage.run("up --workers 2 --port 5002").await;
    stage.run("up --workers 2 --port 5002 --dry-run").await;
    stage.run("status --workers 2").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn up_finds_the_port_in_use() {
    let mut stage = Stage::new("up-port");
    stage.machine.docker().occupy_port(5001);
    stage.run("up").await;
    stage.run("up --port auto").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn up_finds_no_image() {
    let mut stage = Stage::new("up-image");
    stage.machine.docker().refuse_image("kindest/node:missing");
    stage.run("up --image kindest/node:missing").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn up_meets_what_is_not_ours() {
    let mut stage = Stage::new("foreign");
    let docker = stage.machine.docker().clone();
    for name in ["kindreg-kindreg", "kindreg-kindreg-registry"] {
        stage.note(&format!("somebody else's container {name}"));
        stage.foreign_container(name, &[]).await;
        stage.run("up").await;
        stage.run("down").await;
        docker.remove(name).await.unwrap();
    }
    stage.note("somebody else's network kindreg-kindreg");
    let network = NetworkSpec {
        name: "kindreg-kindreg".to_owned(),
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
        ipv6_subnet: None,
    };
    docker.create_network(&network).await.unwrap();
    stage.run("up").await;
    docker.remove_network("kindreg-kindreg").await.unwrap();
    stage.note("somebody else's volume kindreg-kindreg-registry-data");
    let volume = Volume {
        name: "kindreg-kindreg-registry-data".to_owned(),
        labels: BTreeMap::new(),
    };
    docker.create_volume(&volume).await.unwrap();
    stage.run("up").await;
    docker.remove_volume(&volume.name).await.unwrap();
    stage.note("a kind cluster that kindreg did not create");
    let config = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: control-plane\n  image: registry:3\n";
    let network = NetworkSpec {
        name: "kind".to_owned(),
        ..network
    };
    docker.create_network(&network).await.unwrap();
    let kind = stage.machine.kind();
    drop(kind.create("kindreg", "kind", config, &[]).await.unwrap());
    stage.run("up").await;
    stage.run("down").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn up_fails_in_kind() {
    let mut stage = Stage::new("up-kind-fails");
    stage
        .machine
        .kind()
        .fail_next("ERROR: failed to create cluster: could not find a log line");
    stage.run("up").await;
    stage
        .machine
        .kind()
        .fail_next("ERROR: failed to create cluster: write /var/lib: no space left on device");
    stage.run("up --keep-on-failure").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn up_meets_a_node_that_refuses() {
    let mut stage = Stage::new("up-refused");
    let kube = stage.machine.kube("kindreg-control-plane");
    kube.pod_fails("kindreg-worker", "ErrImagePull", X509);
    stage.run("up --workers 1").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn up_on_an_unsupported_engine() {
    let mut stage = Stage::new("up-engine");
    let info = stage.machine.docker().info().await.unwrap();
    stage.machine.docker().set_info(EngineInfo {
        product: Product::Podman,
        ..info
    });
    stage.run("up").await;
    stage.machine.docker().kill_engine();
    stage.note("the engine is stopped");
    stage.run("up").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn down() {
    let mut stage = Stage::new("down");
    stage.run("down").await;
    stage.run("down --dry-run").await;
    stage.run("down --all").await;
    stage.run("down --json").await;
    stage.machine.run(&["up"]).await;
    stage.note("after kindreg up");
    stage.run("down --dry-run").await;
    stage.run("down --dry-run --json").await;
    stage.run("down").await;
    stage.machine.run(&["up", "--quiet"]).await;
    stage
        .machine
        .run(&["up", "--name", "b", "--port", "auto"])
        .await;
    stage.note("after kindreg up and kindreg up --name b");
    stage.run("down --all --json --quiet").await;
    let mut stage = stage.file("kindreg.toml", "[registry.registry]\nkeep_data = true\n");
    stage.machine.run(&["up"]).await;
    stage.note("after kindreg up with keep_data = true");
    stage.run("down --quiet").await;
    stage.run("down").await;
    stage.run("down --json").await;
    stage.note("another kindreg has the lock");
    let ours = [("dev.kindreg.cluster", "kindreg")];
    stage.foreign_container("kindreg-kindreg-lock", &ours).await;
    stage.run("down --json").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn status() {
    let mut stage = Stage::new("status");
    stage.run("status").await;
    stage.machine.run(&["up", "--workers", "1"]).await;
    stage.note("after kindreg up --workers 1");
    stage.run("status").await;
    stage.run("status --json").await;
    stage.run("status --port 5002").await;
    stage.note("a node is stopped, and the registry is removed");
    stage.machine.docker().end_process("kindreg-worker", 137);
    let registry = "kindreg-kindreg-registry";
    stage.machine.docker().remove(registry).await.unwrap();
    stage.run("status").await;
    stage.run("status --json").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn list() {
    let mut stage = Stage::new("list");
    stage.run("list").await;
    stage.machine.run(&["up", "--workers", "1"]).await;
    stage.note("after kindreg up --workers 1");
    stage.run("list").await;
    stage.run("list --json").await;
    stage.note("a record that can't be read");
    let labels = [
        ("dev.kindreg.cluster", "old"),
        ("dev.kindreg.mode", "owned"),
        ("dev.kindreg.record", "{\"version\": 1}"),
    ];
    stage.foreign_container("kindreg-old", &labels).await;
    stage.run("list").await;
    stage.run("status --name old").await;
    stage.note("a record of a newer kindreg");
    stage.machine.docker().remove("kindreg-old").await.unwrap();
    let labels = [labels[0], labels[1], labels_newer()];
    stage.foreign_container("kindreg-old", &labels).await;
    stage.run("list").await;
    stage.run("status --name old").await;
    stage.run("down --name old").await;
    stage.is_as_kept();
}

const fn labels_newer() -> (&'static str, &'static str) {
    ("dev.kindreg.record", "{\"version\": 99}")
}

#[tokio::test]
async fn verify() {
    let mut stage = Stage::new("verify");
    stage.run("verify").await;
    stage.machine.run(&["up", "--workers", "1"]).await;
    stage.note("after kindreg up --workers 1");
    stage.run("verify").await;
    stage.run("verify --json --quiet").await;
    stage.run("verify --strict").await;
    stage.run("verify --strict --dry-run").await;
    stage.run("verify --dry-run --json").await;
    stage.note("a node refuses the registry");
    let kube = stage.machine.kube("kindreg-control-plane");
    kube.pod_fails("kindreg-worker", "ErrImagePull", X509);
    stage.run("verify").await;
    stage.run("verify --json").await;
    stage.note("nothing can be pushed");
    let registry = "kindreg-kindreg-registry";
    stage.machine.docker().end_process(registry, 2);
    stage.run("verify --strict --json").await;
    stage.note("another program listens on the port of the stopped registry");
    stage.machine.docker().occupy_port(5001);
    stage.run("verify").await;
    let journal = stage.machine.docker().journal();
    assert!(
        !journal.iter().any(|effect| effect.contains("a stranger")),
        "{journal:?}"
    );
    stage.is_as_kept();
}

#[tokio::test]
async fn login_and_logout() {
    let mut stage = Stage::new("login");
    stage.run("login").await;
    stage.run("logout").await;
    stage.machine.run(&["up"]).await;
    stage.note("after kindreg up");
    stage.run("logout").await;
    stage.run("login").await;
    stage.run("login --json").await;
    stage.run("login --rotate --dry-run").await;
    stage.run("login --rotate --dry-run --json").await;
    stage.run("login --dry-run").await;
    stage.run("login --rotate").await;
    stage.run("logout").await;
    stage.run("logout --json").await;
    let mut stage = stage.file(".docker/config.json", "nonsense");
    stage.note("docker's config is not JSON");
    stage.run("login").await;
    stage.run("logout").await;
    stage.is_as_kept();
    let mut stage = Stage::after("login-nothing", "up --no-auth").await;
    stage.run("logout").await;
    stage.run("login").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn secret() {
    let mut stage = Stage::new("secret").file("password.txt", "s3cret\n");
    stage.run("secret").await;
    stage
        .machine
        .run(&["up", "--password-file", "password.txt"])
        .await;
    stage.note("after kindreg up --password-file password.txt");
    stage.run("secret").await;
    stage
        .run("secret --namespace default,kube-public --json")
        .await;
    stage.run("secret --patch-serviceaccount default").await;
    stage.run("secret --patch-serviceaccount missing").await;
    stage.run("secret --all-namespaces").await;
    stage.run("secret --dry-run").await;
    stage.note("somebody else's secret named theirs");
    let kube = stage.machine.kube("kindreg-control-plane");
    kube.set(
        "/api/v1/namespaces/default/secrets/theirs",
        Some(serde_json::json!({"metadata": {"name": "theirs", "namespace": "default"}})),
    );
    stage.run("secret --secret-name theirs").await;
    stage.is_as_kept();
    let mut stage = Stage::after("secret-nothing", "up --no-auth").await;
    stage.run("secret").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn env() {
    let mut stage = Stage::new("env").file("password.txt", "it's-5ecret\n");
    stage.run("env").await;
    let up = ["up", "--user", "robot", "--password-file", "password.txt"];
    stage.machine.run(&up).await;
    stage.note("after kindreg up --user robot --password-file password.txt");
    for format in ["shell", "dotenv", "json", "github", "gitlab"] {
        stage.run(&format!("env --format {format}")).await;
        let shown = format!("env --format {format} --show-secrets");
        stage.run(&shown).await;
    }
    stage.run("env --prefix NEXUS --json").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn init() {
    let mut stage = Stage::new("init");
    stage.run("init").await;
    stage.run("init").await;
    stage.run("init --force --json").await;
    stage.run("init missing/kindreg.toml").await;
    stage.is_as_kept();
    let schema = stage.machine.run(&["init", "--schema"]).await;
    assert_eq!((schema.code, schema.stderr.as_str()), (0, ""));
    assert_eq!(
        schema.stdout,
        include_str!("../../templates/kindreg.schema.json")
    );
}

#[tokio::test]
async fn render() {
    let mut stage = Stage::new("render");
    stage.run("render --workers 1").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn invalid_configuration() {
    let wrong = include_str!("data/wrong.toml");
    let mut stage = Stage::new("invalid").file("kindreg.toml", "[cluster]\nworkers = \"x\"\n");
    stage.run("up").await;
    let mut stage = stage.file("kindreg.toml", wrong);
    stage.note("with many mistakes");
    stage.run("up --workers 99 --host A --port x").await;
    let mut stage = stage.file("kindreg.toml", "[registry.a]\n[registry.b]\nport = 5001\n");
    stage.note("with two registries on one port");
    stage.run("up").await;
    stage.run("up --port 6000").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn events_as_json() {
    let mut stage = Stage::new("events-json");
    stage.run("up --events json").await;
    stage.run("up --events json --workers 1").await;
    stage.machine.run(&["down"]).await;
    stage.machine.kind().fail_next("ERROR: kind failed");
    stage.note("after kindreg down, where kind fails");
    stage.run("up --events json").await;
    stage.is_as_kept();
}

#[tokio::test]
async fn verbose_and_quiet() {
    let mut stage = Stage::after("verbose", "up").await;
    stage.run("list -v").await;
    stage.run("up --quiet").await;
    stage.run("status --port 5002 --quiet --events json").await;
    stage.is_as_kept();
}
