//! Mirrors against the fakes: whom nodes and caches believe, what is planted and removed, and how hosts.toml reads.

use std::sync::{Arc, Mutex};

use kindreg::archive;
use kindreg::engine::Outcome;
use kindreg::oci::proof::{Architecture, proof_image};
use kindreg::registry::distribution;
use kindreg::render::{Hosts, check_hosts_toml, mirror_hosts_toml};
use kindreg::steps::REMOVE_PROOF;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::config::COMPANY;
use crate::world::{World, spec_with_mirrors};

const NODE: &str = "c-control-plane";
const CACHE: &str = "kindreg-c-cache";

fn text(world: &World, container: &str, path: &str) -> String {
    let found = world.docker.files(container).read(path);
    let found = found.unwrap_or_else(|| panic!("{container} has no {path}"));
    String::from_utf8(found).unwrap()
}

#[tokio::test]
async fn a_cache_and_the_nodes_believe_the_upstream_by_its_own_ca() {
    let mut world = World::with_mirrors();
    world.up().await.unwrap();
    let ca = world.spec.registries[1].upstream_ca.clone().unwrap();
    let folder = "/etc/containerd/certs.d/upstream.test:5000";
    assert_eq!(
        text(&world, NODE, &format!("{folder}/upstream.crt")),
        ca.pem()
    );
    assert_ne!(text(&world, NODE, &format!("{folder}/ca.crt")), ca.pem());
    let in_cache = "/kindreg/secret/upstream/ca.crt";
    assert_eq!(text(&world, CACHE, in_cache), ca.pem());
    // Go reads whole folders, and the registry's own certificate is no authority for others.
    let folders = &distribution::container(&world.spec, &world.spec.registries[1]).environment["SSL_CERT_DIR"];
    assert!(
        folders.starts_with("/kindreg/secret/upstream:/etc/ssl/certs"),
        "{folders}"
    );

    // Another one is taken on by a cache that starts again, and by the nodes.
    world.spec.registries[1].upstream_ca = Some(COMPANY.to_owned().try_into().unwrap());
    let before = world.docker.journal().len();
    assert_eq!(world.up().await.unwrap(), Outcome::Changed);
    assert_eq!(text(&world, CACHE, in_cache), COMPANY);
    assert_eq!(
        text(&world, NODE, &format!("{folder}/upstream.crt")),
        COMPANY
    );
    let journal = &world.docker.journal()[before..];
    let at = |effect: &str| journal.iter().position(|line| line == effect);
    let (stop, start) = (at(&format!("stop {CACHE}")), at(&format!("start {CACHE}")));
    assert!(stop.is_some() && stop < start, "{journal:#?}");
    assert_eq!(world.up().await.unwrap(), Outcome::Unchanged);
}

#[tokio::test]
async fn the_proof_of_a_cache_is_put_into_its_store_and_goes_again() {
    let world = World::with_mirrors();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let store = Arc::clone(&seen);
    world
        .docker
        .on_script(REMOVE_PROOF, move |files, arguments, _| {
            let found = files.all(&arguments[0]).into_keys();
            store.lock().unwrap().extend(found);
            kindreg::docker::ExecOutput {
                code: 0,
                stdout: Vec::new(),
                stderr: Vec::new(),
            }
        });
    world.up().await.unwrap();
    let seen = seen.lock().unwrap();
    let is = |path: &str, end: &str| {
        path.contains("/repositories/kindreg/proof/") && path.ends_with(end)
    };
    assert_eq!(
        seen.iter().filter(|path| is(path, "/link")).count(),
        3,
        "{seen:#?}"
    );
    assert_eq!(
        seen.iter().filter(|path| path.ends_with("/data")).count(),
        3,
        "{seen:#?}"
    );
    // What takes pushes got one.
    assert_eq!(
        world.docker.pushed(),
        [
            "localhost:5001/kindreg/proof:c",
            "localhost:5003/kindreg/proof:c"
        ]
    );
}

#[test]
fn what_is_put_into_a_store_is_what_a_push_would_have_made() {
    let image = proof_image(Architecture::Amd64, "a.test/b:c", b"1").unwrap();
    let (layer, config) = (image.diff_id.clone(), image.config_digest.clone());
    let (archive, digest) = distribution::in_store(
        &spec_with_mirrors().registries[1],
        "kindreg/proof",
        &image.stored(),
    );
    let files = archive::files(&archive.into_bytes().unwrap()).unwrap();
    // A cache of another registry has another store.
    let root = "var/lib/registry/upstream.test:5000/docker/registry/v2";
    let blob = |digest: &str| {
        let hash = digest.strip_prefix("sha256:").unwrap();
        let content = &files[&format!("{root}/blobs/sha256/{}/{hash}/data", &hash[..2])].content;
        assert_eq!(hex::encode(Sha256::digest(content)), hash);
        content.clone()
    };
    let manifest: Value = serde_json::from_slice(&blob(&digest)).unwrap();
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["config"]["digest"], config);
    assert_eq!(manifest["config"]["size"], blob(&config).len());
    assert_eq!(manifest["layers"][0]["digest"], layer);
    assert_eq!(manifest["layers"][0]["size"], blob(&layer).len());
    for (kind, digest) in [
        ("_manifests/revisions", &digest),
        ("_layers", &config),
        ("_layers", &layer),
    ] {
        let path = digest.replace(':', "/");
        let link = &files[&format!("{root}/repositories/kindreg/proof/{kind}/{path}/link")];
        assert_eq!(link.content, digest.as_bytes());
    }
    assert_eq!(files.len(), 6);
}

#[test]
fn a_mirror_is_asked_first_and_then_the_registry_itself() {
    let spec = spec_with_mirrors();
    let [_, cache, any] = spec.registries.as_slice() else {
        panic!("three registries")
    };
    let read = |registry| check_hosts_toml(&mirror_hosts_toml(registry).unwrap().unwrap()).unwrap();
    let certs = |path: &str| format!("/etc/containerd/certs.d/{path}");
    let of_upstream = Hosts {
        server: Some("https://upstream.test:5000".to_owned()),
        server_ca: Some(certs("upstream.test:5000/upstream.crt")),
        host: "https://cache.test:5002".to_owned(),
        ca: Some(certs("upstream.test:5000/ca.crt")),
    };
    assert_eq!(read(cache), of_upstream);
    // Which it is containerd takes from the image.
    let of_every = Hosts {
        server: None,
        server_ca: None,
        host: "https://any.test:5003".to_owned(),
        ca: Some(certs("_default/ca.crt")),
    };
    assert_eq!(read(any), of_every);
    let text = mirror_hosts_toml(any).unwrap().unwrap();
    assert!(
        check_hosts_toml(&format!("ca = \"/x\"\n{text}")).is_err(),
        "a CA of nobody's"
    );
}
