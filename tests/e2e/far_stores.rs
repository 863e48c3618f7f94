//! What is proven of the engine's host, by the engine's settings: which image store it has, and whether
//! `insecure-registries` is set at all.

use serde_json::{Value, json};

use crate::support::far_engine::FarEngine;
use crate::support::{Kubeconfig, Scene};

/// Docker's image stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    /// `features.containerd-snapshotter`: it obeys hosts.toml.
    Containerd,
    /// Docker's own. From 29.10 on it verifies loopback where `insecure-registries` is set at all:
    /// <https://docs.docker.com/engine/release-notes/29/>.
    Classic,
}

/// The first version whose own image store may verify loopback.
const VERIFIES: (u64, u64) = (29, 10);

/// `insecure-registries` of `daemon.json`.
const INSECURE: [Option<&[&str]>; 3] = [None, Some(&[]), Some(&["10.0.0.0/8", "other.test:5000"])];

#[test]
#[ignore = "starts a second engine six times: make soak"]
fn the_engine_s_host_is_proven_where_the_engine_verifies_localhost() {
    let scene = Scene::new("e2e-stores", 5996, Kubeconfig::Absent);
    for store in [Store::Containerd, Store::Classic] {
        let mut engine = FarEngine::start(&settings(store, None));
        engine.load();
        for insecure in INSECURE {
            engine.restart(&settings(store, insecure));
            let version = engine.docker(&["version", "--format", "{{.Server.Version}}"]);
            let version = version.trim();
            let (host, why) = proof(&scene, &engine);
            println!("   Docker {version}, {store:?}, {insecure:?}: {host} {why}");
            let verifies = match store {
                Store::Containerd => true,
                Store::Classic => insecure.is_some() && numbers(version) >= VERIFIES,
            };
            assert_eq!(host, if verifies { "proven" } else { "not proven" });
            assert_eq!(
                why.contains("does not verify TLS on loopback"),
                !verifies,
                "{why}"
            );
            if store == Store::Classic && numbers(version) < VERIFIES {
                let (major, minor) = VERIFIES;
                println!(
                    "   not run: what Docker {major}.{minor} does there, as this is {version}"
                );
            }
            engine.nearby(scene.down()).run().exits(0);
            engine.has_nothing_left();
        }
    }
    scene.is_as_before();
}

fn settings(store: Store, insecure: Option<&[&str]>) -> Value {
    let mut settings = json!({"features": {"containerd-snapshotter": store == Store::Containerd}});
    if let Some(list) = insecure {
        settings["insecure-registries"] = json!(list);
    }
    settings
}

/// What a new cluster says of the engine's host, and why not more.
#[track_caller]
fn proof(scene: &Scene, engine: &FarEngine) -> (String, String) {
    let up = engine.nearby(scene.up(&["--json"])).run().exits(0);
    let report: Value = serde_json::from_str(&up.stdout).unwrap();
    assert_eq!(report["proof"]["nodes"], "proven", "{up}");
    let text = |key: &str| report["proof"][key].as_str().unwrap_or_default().to_owned();
    (text("host"), text("hostWhy"))
}

/// The first two numbers of a version.
#[track_caller]
fn numbers(version: &str) -> (u64, u64) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap())
}
