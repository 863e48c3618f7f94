//! A registry that somebody else runs and that takes Bearer tokens, beside one of ours with Basic, in one cluster; and
//! what is wrong with its credentials, told apart.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kindreg::credentials::{RegistryCredentials, auths};
use kindreg::doctor::credentials::{Trouble, diagnose};
use kindreg::pki::Identity;
use kindreg::render::node_files;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::clients::image;
use crate::support::{
    BearerRegistry, Kubeconfig, Pod, Scene, TokenServer, attempt, kubectl, nodes, scratch, sh,
    write_in,
};

const HOST: &str = "bearer.test";
const PORT: u16 = 5971;
const TOKENS: u16 = 5972;
const USER: &str = "reader";
const PASSWORD: &str = "of their own";

fn domain() -> String {
    format!("{HOST}:{PORT}")
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_registry_with_tokens_works_beside_one_with_basic() {
    let scene = Scene::new("e2e-bearer", 5973, Kubeconfig::Absent);
    let (mut server, identity) = TokenServer::start(HOST, TOKENS, USER, PASSWORD);
    let theirs = BearerRegistry::start("e2e-bearer-theirs", PORT, &server, &identity);
    scene.up(&["--workers", "1"]).run().exits(0);
    arrange(&scene, &server, &identity);
    kubectl(scene.cluster, &["create", "namespace", "late"]);
    let folder = scratch();
    push(folder.path(), &server, &identity);
    let pushed = server.given();
    for node in ["control-plane", "worker"] {
        pod(node, "tokens", "app").runs(&scene);
    }
    assert!(server.given() > pushed, "nodes asked for no token");

    let refused = |name: &str, repository: &str, why: &str, trouble: Trouble| {
        let said = pod("worker", name, repository).is_refused(&scene, why);
        assert_eq!(diagnose(&said), Some(trouble), "{said}");
    };
    refused(
        "forbidden",
        "forbidden",
        "403 Forbidden",
        Trouble::Forbidden,
    );
    refused("others", "others", "insufficient_scope", Trouble::Forbidden);
    server.expect("another password");
    refused("wrong", "app", "401 Unauthorized", Trouble::Wrong);
    server.expect(PASSWORD);
    server.stop();
    refused("stopped", "app", "connection refused", Trouble::TokenServer);
    server.go_on();
    theirs.sends_to(
        &server.realm().replace("/token", "/nothing"),
        &server,
        &identity,
    );
    refused("realm", "app", "404 Not Found", Trouble::Realm);
    theirs.sends_to("https://nowhere.test/token", &server, &identity);
    refused("nowhere", "app", "nowhere.test", Trouble::TokenServer);
    // One with Basic was there all the time.
    scene.verify().run().exits(0);
    drop(theirs);
    scene.down().run().exits(0);
    scene.is_as_before();
}

/// What nodes need to know of it: its address, its CA, a password.
#[track_caller]
fn arrange(scene: &Scene, server: &TokenServer, identity: &Identity) {
    let registry = serde_json::from_value(json!({
        "name": "theirs", "host": HOST, "port": PORT, "image": "registry:3"
    }));
    let files = node_files(&registry.unwrap(), &identity.ca_pem).unwrap();
    let user = RegistryCredentials::new(USER, PASSWORD.to_owned()).unwrap();
    let entries = vec![(domain(), &user)];
    for node in nodes(scene.cluster) {
        for (path, text) in &files {
            let path = format!("/etc/containerd/certs.d/{path}");
            sh(&node, &format!("mkdir -p \"$(dirname '{path}')\""));
            write_in(&node, &path, std::str::from_utf8(text).unwrap());
        }
        sh(
            &node,
            &format!("echo '{} {HOST}' >> /etc/hosts", server.gateway()),
        );
        let config = "/var/lib/kubelet/config.json";
        let present = sh(&node, &format!("cat {config}"));
        let merged = auths::merged(present.as_bytes(), &entries).unwrap();
        write_in(&node, config, merged.expose_secret());
        sh(&node, "systemctl restart kubelet");
    }
}

fn pod<'a>(node: &'a str, name: &str, repository: &str) -> Pod<'a> {
    Pod {
        namespace: "late",
        name: format!("{name}-{node}"),
        account: "default",
        node,
        image: format!("{}/e2e/{repository}:1", domain()),
    }
}

/// oras brings an image there, by tokens too; this machine need not resolve the name.
#[track_caller]
fn push(folder: &Path, server: &TokenServer, identity: &Identity) {
    let (ca, config) = (folder.join("ca.crt"), folder.join("config.json"));
    fs::write(&ca, &identity.ca_pem).unwrap();
    let auth = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    fs::write(
        &config,
        json!({"auths": {(domain()): {"auth": auth}}}).to_string(),
    )
    .unwrap();
    let target = format!("{}/e2e/app:1", domain());
    let archive = format!("docker-archive:{}", image(&target, folder).display());
    let layout = format!("{}/layout:1", folder.display());
    attempt("skopeo", &["copy", &archive, &format!("oci:{layout}")]).good();
    let command = [
        "oras",
        "cp",
        "--from-oci-layout",
        &layout,
        "--to-registry-config",
        config.to_str().unwrap(),
        "--to-ca-file",
        ca.to_str().unwrap(),
        "--to-resolve",
        &format!("{HOST}:{PORT}:127.0.0.1"),
        "--to-resolve",
        &format!("{HOST}:{TOKENS}:{}", server.gateway()),
        &target,
    ];
    attempt(command[0], &command[1..]).good();
}
