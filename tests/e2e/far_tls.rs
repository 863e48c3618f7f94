//! An engine on another address, by TLS: up, push, verify, status, down, and what keeps a client from it.

use std::fs;
use std::net::{IpAddr, TcpStream};
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use serde_json::json;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use crate::support::far_engine::{ADDRESS, FarEngine, OTHER_ADDRESS};
use crate::support::{Call, Kubeconfig, Scene, attempt, docker, run_with, scratch, setting};

/// A CA, with the certificates that it signed in folders as docker has them: `ca.pem`, `cert.pem`, `key.pem`.
struct Authority {
    folder: TempDir,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a certificate is for, and until when.
#[derive(Clone, Copy)]
enum Purpose {
    Engine(IpAddr),
    Client { expires: OffsetDateTime },
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "e2e-far CA");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let folder = scratch();
        Self {
            folder,
            pem,
            issuer,
        }
    }

    /// A folder with a certificate, its key, and the CA.
    fn signs(&self, name: &str, purpose: Purpose) -> String {
        let mut params = CertificateParams::default();
        match purpose {
            Purpose::Engine(address) => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                params.subject_alt_names.push(SanType::IpAddress(address));
            }
            Purpose::Client { expires } => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                params.not_after = expires;
            }
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let folder = self.folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("ca.pem"), &self.pem).unwrap();
        fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
        fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        folder.display().to_string()
    }
}

/// The settings of an engine that takes clients of this CA alone.
fn verified(files: &str) -> serde_json::Value {
    json!({
        "hosts": [format!("tcp://{ADDRESS}:2376"), format!("tcp://{OTHER_ADDRESS}:2376")],
        "tlsverify": true,
        "tlscacert": format!("{files}/ca.pem"),
        "tlscert": format!("{files}/cert.pem"),
        "tlskey": format!("{files}/key.pem"),
    })
}

/// A call to an engine at an address, with these files.
fn by_tls(call: Call, address: IpAddr, files: &str) -> Call {
    call.env("DOCKER_HOST", format!("tcp://{address}:2376"))
        .env("DOCKER_TLS_VERIFY", "1")
        .env("DOCKER_CERT_PATH", files)
}

#[test]
#[ignore = "starts a second engine, takes a minute: make soak"]
fn a_cluster_of_an_engine_behind_tls() {
    let scene = Scene::new("e2e-tls", 5995, Kubeconfig::Absent);
    let authority = Authority::new();
    let later = OffsetDateTime::now_utc() + Duration::days(1);
    let client = authority.signs("client", Purpose::Client { expires: later });
    let engine = FarEngine::start(&verified(
        &authority.signs("engine", Purpose::Engine(ADDRESS)),
    ));
    what_keeps_a_client_away_is_said(&scene, &authority, &client);
    engine.load();

    let there = |call: Call| by_tls(call, ADDRESS, &client).run();
    a_port_is_looked_for_on_this_machine(&scene, &client);
    let settings = reachable(scene.home(), ", apiServerPort: 6443");
    let up = there(scene.up(&["--config", &settings, "--yes"]))
        .exits(0)
        .prints("Ready: 1 node of cluster e2e-tls pulled from registry.test:5995 over verified TLS")
        .prints(&format!("The engine is on {ADDRESS}, and so is localhost"));
    assert!(!up.stdout.contains("ssh"), "kubectl needs no tunnel: {up}");
    let local = TcpStream::connect(("127.0.0.1", scene.port));
    assert!(local.is_err(), "localhost is that of the engine");

    by_a_context(&scene, &client);
    docker_pushes_there(&scene, &client);
    there(scene.verify()).exits(0);
    kubectl_reaches_it(&scene);

    there(scene.down())
        .exits(0)
        .prints("Removed: cluster e2e-tls");
    fs::remove_file(&settings).unwrap();
    fs::remove_file(scene.home().join("kind.yaml")).unwrap();
    engine.has_nothing_left();
    drop(engine);
    scene.is_as_before();
}

/// A `kindreg.toml` with a kind configuration that publishes the API server where this machine reaches it.
fn reachable(folder: &Path, port: &str) -> String {
    let kind = format!("networking: {{apiServerAddress: {ADDRESS}{port}}}\n");
    let head = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n";
    fs::write(folder.join("kind.yaml"), format!("{head}{kind}")).unwrap();
    let file = folder.join("kindreg.toml");
    fs::write(&file, "[cluster]\nkind_config = \"kind.yaml\"\n").unwrap();
    file.display().to_string()
}

#[track_caller]
fn what_keeps_a_client_away_is_said(scene: &Scene, authority: &Authority, client: &str) {
    // It has the same name, as a CA that was made anew.
    let stranger = Authority::new();
    let later = OffsetDateTime::now_utc() + Duration::days(1);
    let foreign = stranger.signs("client", Purpose::Client { expires: later });
    let past = OffsetDateTime::now_utc() - Duration::days(1);
    let expired = authority.signs("expired", Purpose::Client { expires: past });
    for (address, files, hint) in [
        (ADDRESS, &*foreign, "use the ca.pem of that engine"),
        (ADDRESS, &*expired, "get a new cert.pem and key.pem"),
        (OTHER_ADDRESS, client, "use a name of the certificate"),
    ] {
        let said = by_tls(scene.call(&["list"]), address, files).run().exits(1);
        said.says(&format!("hint: {hint}"));
    }
    by_tls(scene.call(&["list"]), ADDRESS, client)
        .run()
        .exits(0);
}

/// Without a port in the kind configuration, kind looks for a free one at that address of this machine.
#[track_caller]
fn a_port_is_looked_for_on_this_machine(scene: &Scene, client: &str) {
    let settings = reachable(scene.home(), "");
    let up = scene.up(&["--config", &settings, "--yes"]);
    by_tls(up, ADDRESS, client)
        .run()
        .exits(1)
        .says("cannot assign requested address")
        .says("apiServerPort beside apiServerAddress");
}

/// The same engine by a docker context with the same files.
#[track_caller]
fn by_a_context(scene: &Scene, client: &str) {
    let settings = format!("--config={}", scene.home().join(".docker").display());
    let endpoint = format!(
        "host=tcp://{ADDRESS}:2376,ca={client}/ca.pem,cert={client}/cert.pem,key={client}/key.pem"
    );
    docker(&[&settings, "context", "create", "far", "--docker", &endpoint]);
    let call = scene.call(&["status", "--name", scene.cluster]);
    call.without("DOCKER_HOST")
        .env("DOCKER_CONTEXT", "far")
        .run()
        .exits(0)
        .prints(&format!("engine on {ADDRESS}: localhost is there"))
        .prints("is ready");
    docker(&[&settings, "context", "rm", "far"]);
}

/// docker on this machine pushes to the engine's localhost, with kindreg's login.
#[track_caller]
fn docker_pushes_there(scene: &Scene, client: &str) {
    let login = scene.call(&["login", "--name", scene.cluster]);
    by_tls(login, ADDRESS, client)
        .run()
        .exits(0)
        .prints(&format!("localhost is {ADDRESS}, the engine's host"));
    let settings = format!("--config={}", scene.home().join(".docker").display());
    let host = format!("-H=tcp://{ADDRESS}:2376");
    let file = |flag: &str, name: &str| format!("--{flag}={client}/{name}.pem");
    let (ca, cert, key) = (
        file("tlscacert", "ca"),
        file("tlscert", "cert"),
        file("tlskey", "key"),
    );
    let flags = [&*settings, &host, "--tlsverify", &ca, &cert, &key];
    let there = |words: &[&str]| docker(&[&flags, words].concat());
    let image = format!("{}/e2e/app:1", scene.local_domain());
    there(&["tag", &setting("KINDREG_REGISTRY_IMAGE"), &image]);
    there(&["push", &image]);
    there(&["image", "rm", &image]);
}

/// kubectl on this machine's network reaches the API server with the user's kubeconfig.
#[track_caller]
fn kubectl_reaches_it(scene: &Scene) {
    let kubeconfig = fs::read(scene.home().join(".kube/config")).unwrap();
    let image = setting("KINDREG_IMAGE");
    let run = [
        "run",
        "--rm",
        "-i",
        "--network",
        "host",
        "--entrypoint",
        "sh",
    ];
    let script = "cat >/config; kubectl --kubeconfig /config get nodes -o name";
    let said = run_with(
        "docker",
        &[&run[..], &[&image, "-c", script]].concat(),
        &kubeconfig,
    );
    assert_eq!(
        said.good(),
        format!("node/{}-control-plane\n", scene.cluster)
    );
    assert!(!attempt("docker", &["inspect", scene.registry().as_str()]).ok);
}
