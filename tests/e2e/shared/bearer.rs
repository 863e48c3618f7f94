//! A registry that somebody else runs and that takes Bearer tokens, beside one of ours with Basic, in one cluster; and
//! what is wrong with its credentials, told apart.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tempfile::TempDir;

use crate::clients::image;
use crate::support::{
    BearerRegistry, Call, Ended, Pod, Scene, Shared, TokenServer, attempt, kubectl, scratch,
};

const HOST: &str = "bearer.test";
const PORT: u16 = 5971;
const TOKENS: u16 = 5972;
const USER: &str = "reader";
const PASSWORD: &str = "of their own";

fn domain() -> String {
    format!("{HOST}:{PORT}")
}

/// A `kindreg.toml` with both registries.
struct Settings {
    folder: TempDir,
    address: String,
}

impl Settings {
    /// With an image of the other one that proves it.
    fn write(&self, scene: &Scene, proof: &str) {
        let Self { folder, address } = self;
        let text = format!(
            "[cluster]\nworkers = 2\n\n[registry.registry]\nport = {}\n\n[registry.theirs]\nbackend = \"external\"\nhost = \"{HOST}\"\n\
             port = {PORT}\naddress = \"{address}\"\nca = \"ca.crt\"\nproof = \"{proof}\"\n",
            scene.port
        );
        fs::write(folder.path().join("kindreg.toml"), text).unwrap();
    }

    fn call(&self, scene: &Scene, command: &str) -> Call {
        let file = self.folder.path().join("kindreg.toml");
        scene
            .call(&[command, "--name", scene.cluster, "--config"])
            .args(&[file.to_str().unwrap()])
    }
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_registry_with_tokens_works_beside_one_with_basic() {
    let scene = Shared::cluster();
    let (mut server, identity) = TokenServer::start(HOST, TOKENS, USER, PASSWORD);
    let theirs = BearerRegistry::start("e2e-bearer-theirs", PORT, &server, &identity);
    let settings = Settings {
        folder: scratch(),
        address: server.gateway().to_owned(),
    };
    fs::write(settings.folder.path().join("ca.crt"), &identity.ca_pem).unwrap();
    settings.write(&scene, "e2e/app:1");
    log_in(&scene);
    push(&scene, settings.folder.path(), &server);
    let pushed = server.given();

    let up = || settings.call(&scene, "up").args(&["--yes"]).run();
    up().exits(0).prints("Ready: 3 nodes").prints(&domain());
    assert!(server.given() > pushed, "the node asked for no token");
    kubectl(scene.cluster, &["create", "namespace", "bearer"]);
    let pod = Pod {
        namespace: "bearer",
        name: "tokens".to_owned(),
        account: "default",
        node: "control-plane",
        image: format!("{}/e2e/app:1", domain()),
    };
    pod.runs(&scene);
    up().exits(0).prints("Nothing to do");
    scene.verify().run().exits(0);

    // Each is known by its own words, with its own cause and next command.
    server.expect("another password");
    is_told(
        &scene,
        "401 Unauthorized",
        "refused user and password; its certificate is trusted",
        "docker login",
    );
    server.expect(PASSWORD);
    server.stop();
    is_told(
        &scene,
        "connection refused",
        "gives the registry's tokens is not reached",
        "www-authenticate",
    );
    server.go_on();
    for realm in [
        server.realm().replace("/token", "/nothing"),
        "https://nowhere.test/token".to_owned(),
    ] {
        theirs.sends_to(&realm, &server, &identity);
        if realm.contains(HOST) {
            is_told(
                &scene,
                "404 Not Found",
                "for a token to an address that gives none",
                "www-authenticate",
            );
        } else {
            is_told(
                &scene,
                "nowhere.test",
                "gives the registry's tokens is not reached",
                "www-authenticate",
            );
        }
    }
    theirs.sends_to(&server.realm(), &server, &identity);
    push(&scene, settings.folder.path(), &server);
    for (image, words) in [
        ("e2e/forbidden:1", "403 Forbidden"),
        ("e2e/others:1", "insufficient_scope"),
    ] {
        settings.write(&scene, image);
        let said = up().exits(3).says(words);
        said.says("knows the user, who may not do this there")
            .says("docker login HOST");
    }
    settings.write(&scene, "e2e/app:1");
    up().exits(0);
}

/// `verify` says what the node said, what it means, and what to type next.
#[track_caller]
fn is_told(scene: &Scene, words: &str, cause: &str, next: &str) -> Ended {
    // Somebody else's registry that is out of reach may come back for 25 s; all the others are told at once.
    let said = scene.verify().args(&["--timeout", "10"]).run().exits(3);
    println!(
        "   {:.1} s until {words:?} is told",
        said.took.as_secs_f64()
    );
    said.says(words).says("hint: ").says(cause).says(next)
}

/// As `docker login` leaves it.
fn log_in(scene: &Scene) {
    let folder = scene.home().join(".docker");
    fs::create_dir(&folder).unwrap();
    let auth = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let config = json!({"auths": {(domain()): {"auth": auth}}});
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// oras brings an image there, by tokens too; this machine need not resolve the name.
#[track_caller]
fn push(scene: &Scene, folder: &Path, server: &TokenServer) {
    let target = format!("{}/e2e/app:1", domain());
    let archive = format!("docker-archive:{}", image(&target, folder).display());
    let scratch = scratch();
    let layout = format!("{}/layout:1", scratch.path().display());
    attempt("skopeo", &["copy", &archive, &format!("oci:{layout}")]).good();
    let (ca, config) = (
        folder.join("ca.crt"),
        scene.home().join(".docker/config.json"),
    );
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
