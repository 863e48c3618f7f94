//! Mirrors on the real thing: a cache of a registry with a private CA, and a registry that is asked for everything.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use kindreg::internal::credentials::RegistryCredentials;
use kindreg::internal::oci::proof::proof_image;
use kindreg::internal::pki::{Names, issue};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::support::{
    Call, Kubeconfig, Pod, Scene, attempt, docker, docker_lines, kubectl, kubectl_apply, nodes,
    run_with, scratch, sh, write_in,
};

const CACHE: &str = "cache.test:5731";
const ANY: &str = "any.test:5732";
const UPSTREAM: &str = "upstream.test:5739";
/// A cache of [`GUARDED`], which asks for a password.
const LOGGED_IN: &str = "cache.test:5741";
const GUARDED: &str = "upstream.test:5749";
const USER: &str = "robot$e2e";
/// YAML, shells and HTTP would each read something else into it.
const PASSWORD: &str = "it's \"theirs\": 50% > #hunter2?";
/// Whatever a pull takes, on a busy machine and with a node's back-off.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn nodes_pull_through_a_cache_and_from_the_registry_for_everything() {
    let scene = Scene::new("e2e-mirrors", 5730, Kubeconfig::Absent);
    let place = Place::new(&scene);
    // The network comes first, as the upstream is to be on it before a cache of it starts.
    place.asks("");
    place.up(&scene).run().exits(0);
    scene.has_nodes(2);
    let upstream = Upstream::start(&scene, &place, None);
    push("localhost:5739/team/app:1", None);
    place.asks(&mirrors(UPSTREAM));
    place.up(&scene).run().exits(0).prints(&format!(
        "Ready: 2 nodes of cluster e2e-mirrors pulled from {}, {CACHE}, {ANY} over verified TLS",
        scene.domain()
    ));
    the_proof_leaves_nothing(&scene);
    the_cache_answers_without_its_upstream(&scene, &upstream);
    the_upstream_answers_without_its_cache(&scene, &place);
    one_registry_answers_for_all_others(&scene);
    trust_is_proven_by_each_name(&scene, &place);
    a_cache_that_cannot_reach_its_upstream_says_so(&scene, &place);
    drop(upstream);
    place.up(&scene).run().exits(0).prints("Nothing to do");
    scene.verify().run().exits(0).prints(CACHE);
    scene.down().run().exits(0);
    scene.is_as_before();
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn a_cache_logs_in_to_an_upstream_that_asks_for_a_password() {
    let scene = Scene::new("e2e-mirror-auth", 5740, Kubeconfig::Absent);
    let place = Place::new(&scene);
    place.asks("");
    place.up(&scene).run().exits(0);
    let login = RegistryCredentials::given(USER, PASSWORD.to_owned()).unwrap();
    let upstream = Upstream::start(&scene, &place, Some(&login));
    let docker_config = logged_in(&login);
    for tag in [1, 2] {
        let reference = format!("localhost:5749/team/app:{tag}");
        push(&reference, Some(docker_config.path()));
    }
    let up = |password: &str| {
        let call = place.up(&scene);
        call.env("E2E_USR", USER).env("E2E_PSW", password)
    };

    place.asks(&guarded(LOGIN));
    up(PASSWORD)
        .run()
        .exits(2)
        .says(&format!("will send $E2E_USR and $E2E_PSW to {GUARDED}, "));
    place
        .up(&scene)
        .args(&["--yes"])
        .run()
        .exits(2)
        .says(&format!("no credentials for {GUARDED}"))
        .says("set E2E_USR and E2E_PSW");
    let made = docker_lines(&["ps", "-aq", "--filter", "name=mirror-auth-cache"]);
    assert_eq!(made, Vec::<String>::new(), "nothing was made");

    let first = up(PASSWORD).args(&["--yes", "-vvv"]).run().exits(0);
    assert!(!first.to_string().contains("hunter2"), "{first}");
    place.up(&scene).run().exits(0).prints("Nothing to do");
    // Nodes themselves have no password for it, so what they pull came through the cache; and what it has, it keeps.
    let image = [format!("{GUARDED}/team/app:1")];
    every_node_runs(&scene, &image);
    assert_eq!(repositories(&scene, LOGGED_IN), ["team/app"]);
    upstream.stops();
    every_node_runs(&scene, &image);
    upstream.starts();
    nothing_shows(&login);

    up("wrong").run().exits(0).says("other credentials are set");
    let pod = Pod {
        namespace: "default",
        name: "refused".to_owned(),
        account: "default",
        node: "worker",
        image: format!("{GUARDED}/team/app:2"),
    };
    pod.is_refused(&scene, "Failed to pull image");
    up(PASSWORD)
        .run()
        .exits(0)
        .says("other credentials are set");
    every_node_runs(&scene, &[format!("{GUARDED}/team/app:2")]);

    place.asks(&guarded(""));
    place
        .up(&scene)
        .run()
        .exits(0)
        .says("old upstream credentials of registry cache");
    let file = "kindreg-e2e-mirror-auth-cache:/kindreg/secret/config.yml";
    let content = format!("docker cp {file} - | tar -xO | wc -c");
    assert_eq!(attempt("sh", &["-c", &content]).good().trim(), "0");
    drop(upstream);
    scene.down().run().exits(0);
    scene.is_as_before();
}

/// The two keys with the variables.
const LOGIN: &str = "upstream_username_env = \"E2E_USR\"\nupstream_password_env = \"E2E_PSW\"\n";

fn guarded(login: &str) -> String {
    format!(
        "[registry.cache]\nport = 5741\nmirror_of = \"{GUARDED}\"\nupstream_ca = \"upstream.pem\"\n{login}"
    )
}

/// A docker config that may push to the upstream.
fn logged_in(login: &RegistryCredentials) -> TempDir {
    let folder = scratch();
    let config = json!({"auths": {"localhost:5749": {"auth": login.basic().expose_secret()}}});
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

/// Neither a container's settings or log nor a command line has the password.
#[track_caller]
fn nothing_shows(login: &RegistryCredentials) {
    let containers = docker_lines(&["ps", "-aq"]);
    let containers: Vec<&str> = containers.iter().map(String::as_str).collect();
    let seen = [
        attempt("docker", &[&["inspect"], &*containers].concat()).good(),
        attempt("docker", &["logs", "kindreg-e2e-mirror-auth-cache"]).all(),
        attempt("sh", &["-c", "cat /proc/[0-9]*/cmdline"]).stdout,
    ];
    for (nth, seen) in seen.iter().enumerate() {
        for secret in ["hunter2", login.basic().expose_secret()] {
            assert!(!seen.contains(secret), "place {nth} shows it");
        }
    }
}

/// A folder with what is asked, and the port of the registry of every scene.
struct Place {
    folder: TempDir,
    port: u16,
}

impl Place {
    fn new(scene: &Scene) -> Self {
        Self {
            folder: scratch(),
            port: scene.port,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("kindreg.toml")
    }

    /// The registry of every scene, and these.
    fn asks(&self, more: &str) {
        let port = self.port;
        let text = format!("[cluster]\nworkers = 1\n[registry.registry]\nport = {port}\n{more}");
        fs::write(self.file(), text).unwrap();
    }

    fn up(&self, scene: &Scene) -> Call {
        let file = self.file();
        let call = scene.call(&["up", "--name", scene.cluster, "--config"]);
        // With several registries the variable would not say which is meant; this is the default anyway.
        call.args(&[file.to_str().unwrap()])
            .without("KINDREG_REGISTRY_IMAGE")
    }
}

fn mirrors(upstream: &str) -> String {
    format!(
        "[registry.cache]\nport = 5731\nmirror_of = \"{upstream}\"\nupstream_ca = \"upstream.pem\"\n\
         [registry.any]\nport = 5732\nmirror_of = \"*\"\n"
    )
}

/// Somebody else's registry, with a CA that no machine knows.
struct Upstream {
    container: String,
}

impl Upstream {
    /// Starts it nine ports after the scene's own; with a user it asks everybody for a password.
    #[track_caller]
    fn start(scene: &Scene, place: &Place, user: Option<&RegistryCredentials>) -> Self {
        let container = format!("{}-upstream", scene.cluster);
        let port = scene.port + 9;
        let names = Names::new(["upstream.test"], []);
        let identity = issue("somebody else's", &names, OffsetDateTime::now_utc()).unwrap();
        fs::write(place.folder.path().join("upstream.pem"), &identity.ca_pem).unwrap();
        let tls = scratch();
        fs::write(tls.path().join("tls.crt"), &identity.leaf_pem).unwrap();
        fs::write(tls.path().join("tls.key"), identity.key.expose_secret()).unwrap();
        let mut settings = vec![
            format!("REGISTRY_HTTP_ADDR=:{port}"),
            "REGISTRY_HTTP_DEBUG_ADDR=".to_owned(),
            "REGISTRY_HTTP_TLS_CERTIFICATE=/tls/tls.crt".to_owned(),
            "REGISTRY_HTTP_TLS_KEY=/tls/tls.key".to_owned(),
        ];
        if let Some(user) = user {
            let hash = bcrypt::hash(user.password().expose_secret(), 4).unwrap();
            let line = format!("{}:{hash}\n", user.user());
            fs::write(tls.path().join("htpasswd"), line).unwrap();
            settings.extend([
                "REGISTRY_AUTH=htpasswd".to_owned(),
                "REGISTRY_AUTH_HTPASSWD_REALM=upstream".to_owned(),
                "REGISTRY_AUTH_HTPASSWD_PATH=/tls/htpasswd".to_owned(),
            ]);
        }
        let network = format!("--network=kindreg-{}", scene.cluster);
        let publish = format!("--publish=127.0.0.1:{port}:{port}");
        let alias = "--network-alias=upstream.test";
        let mut arguments = vec!["create", "--name", &container, &network, alias, &publish];
        for setting in &settings {
            arguments.extend(["--env", setting]);
        }
        let image = std::env::var("KINDREG_REGISTRY_IMAGE").unwrap();
        arguments.push(&image);
        docker(&arguments);
        let files = format!("{}/.", tls.path().display());
        docker(&["cp", &files, &format!("{container}:/tls")]);
        let upstream = Self { container };
        upstream.starts();
        upstream
    }

    #[track_caller]
    fn starts(&self) {
        docker(&["start", &self.container]);
    }

    #[track_caller]
    fn stops(&self) {
        docker(&["stop", "-t", "2", &self.container]);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        attempt("docker", &["rm", "-f", "-v", &self.container]);
    }
}

/// A new image, in the registry that this reference names and no longer in the engine; with a docker config of one's own
/// where that asks for a password.
#[track_caller]
fn push(reference: &str, config: Option<&Path>) {
    let architecture = docker(&["info", "--format", "{{.Architecture}}"]);
    let nonce = format!("{reference} {:?}", SystemTime::now());
    let architecture = architecture.trim().parse().unwrap();
    let image = proof_image(architecture, reference, nonce.as_bytes()).unwrap();
    run_with("docker", &["load"], &image.archive).good();
    let config = config.map(|folder| format!("--config={}", folder.display()));
    let config: Vec<&str> = config.as_deref().into_iter().collect();
    docker(&[&*config, &["push", reference]].concat());
    docker(&["image", "rm", reference]);
}

/// A pod on every node pulls the images, whatever the node had of them, and runs them to their ends.
#[track_caller]
fn every_node_runs(scene: &Scene, images: &[String]) {
    let start = Instant::now();
    let forget = "ctr -n k8s.io images ls -q | grep -v -e registry.k8s.io -e kindest | xargs -r ctr -n k8s.io images rm --sync";
    let mut pods = Vec::new();
    for node in nodes(scene.cluster) {
        sh(&node, forget);
        let containers: Vec<Value> = images
            .iter()
            .enumerate()
            .map(|(nth, image)| json!({"name": format!("app-{nth}"), "image": image, "imagePullPolicy": "Always"}))
            .collect();
        pods.push(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": node, "namespace": "default", "labels": {"e2e": "mirrors"}},
            "spec": {"nodeName": node, "restartPolicy": "Never", "hostNetwork": true,
                     "tolerations": [{"operator": "Exists"}], "automountServiceAccountToken": false,
                     "terminationGracePeriodSeconds": 0, "containers": containers},
        }));
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": pods});
    kubectl_apply(scene.cluster, &list.to_string());
    let pods = ["get", "pods", "-l", "e2e=mirrors", "-o", "json"];
    loop {
        let said: Value = serde_json::from_str(&kubectl(scene.cluster, &pods)).unwrap();
        let items = said["items"].as_array().unwrap();
        if items
            .iter()
            .all(|pod| pod["status"]["phase"] == "Succeeded")
        {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{images:?}: {items:#?}");
        sleep(Duration::from_millis(200));
    }
    kubectl(
        scene.cluster,
        &["delete", "pod", "-l", "e2e=mirrors", "--wait=true"],
    );
    let took = start.elapsed().as_secs_f64();
    println!("   {} run ({took:.1} s)", images.join(", "));
}

/// Repositories that a registry of ours holds.
#[track_caller]
fn repositories(scene: &Scene, domain: &str) -> Vec<String> {
    let node = format!("{}-control-plane", scene.cluster);
    let ca = format!("/etc/containerd/certs.d/{domain}/ca.crt");
    let said = sh(
        &node,
        &format!("curl -sS --cacert {ca} https://{domain}/v2/_catalog"),
    );
    let said: Value = serde_json::from_str(&said).unwrap();
    serde_json::from_value(said["repositories"].clone()).unwrap()
}

#[track_caller]
fn the_proof_leaves_nothing(scene: &Scene) {
    for node in nodes(scene.cluster) {
        let notes = sh(&node, "cd /var/lib/kindreg/proof; wc -c any cache registry");
        assert!(notes.contains("192 total"), "{notes}");
    }
    assert_eq!(repositories(scene, CACHE), Vec::<String>::new());
    let left = docker_lines(&["ps", "-aq", "--filter", "name=_proof"]);
    assert_eq!(left, Vec::<String>::new());
    let data = "kindreg-e2e-mirrors-cache:/var/lib/registry";
    let archive = attempt("sh", &["-c", &format!("docker cp {data} - | tar -t")]).good();
    assert!(!archive.contains("/data\n"), "a blob is left: {archive}");
}

#[track_caller]
fn the_cache_answers_without_its_upstream(scene: &Scene, upstream: &Upstream) {
    let image = [format!("{UPSTREAM}/team/app:1")];
    every_node_runs(scene, &image);
    assert_eq!(repositories(scene, CACHE), ["team/app"]);
    upstream.stops();
    every_node_runs(scene, &image);
    upstream.starts();
}

#[track_caller]
fn the_upstream_answers_without_its_cache(scene: &Scene, place: &Place) {
    push("localhost:5739/team/app:2", None);
    docker(&["stop", "-t", "2", "kindreg-e2e-mirrors-cache"]);
    every_node_runs(scene, &[format!("{UPSTREAM}/team/app:2")]);
    place.up(scene).run().exits(0).says("exited with code");
}

/// By short names, by names of registries that do not exist, and by its own.
#[track_caller]
fn one_registry_answers_for_all_others(scene: &Scene) {
    push("localhost:5732/library/e2e-short:1", None);
    push("localhost:5732/far/app:1", None);
    let images = [
        "e2e-short:1",
        "docker.io/library/e2e-short:1",
        "quay.example/far/app:1",
        "quay.example:8443/far/app:1",
        "localhost:5732/far/app:1",
    ];
    every_node_runs(scene, &images.map(str::to_owned));
    // The proof's repository stays behind without a tag.
    let held = repositories(scene, ANY);
    assert_eq!(held, ["far/app", "kindreg/proof", "library/e2e-short"]);
}

#[track_caller]
fn trust_is_proven_by_each_name(scene: &Scene, place: &Place) {
    scene.verify().run().exits(0).prints(CACHE).prints(ANY);
    scene.is_strictly_proven();
    let node = format!("{}-worker", scene.cluster);
    let listed = sh(&node, "ls /etc/containerd/certs.d");
    assert!(!listed.contains("kindreg-"), "{listed}");
    let names = Names::new(["cache.test", "any.test"], []);
    let other = issue("other", &names, OffsetDateTime::now_utc()).unwrap();
    // The first two at once, as they are two registries; the third is the first one's again.
    for broken in [
        &[(CACHE, CACHE), ("_default", ANY)][..],
        &[(UPSTREAM, CACHE)],
    ] {
        for (folder, _) in broken {
            let path = format!("/etc/containerd/certs.d/{folder}/ca.crt");
            write_in(&node, &path, &other.ca_pem);
        }
        let mut verify = scene.verify().args(&["--timeout", "40"]).run().exits(3);
        let took = verify.took.as_secs_f64();
        assert!(
            took < 40.0,
            "known at once, and not at the end of all patience"
        );
        let mut up = place.up(scene).run().exits(0);
        for (folder, domain) in broken {
            verify = verify.says(&format!("1 of 2 nodes can't pull from {domain}"));
            up = up.says(&format!("{folder}/ca.crt"));
        }
        let verify = verify.says("hint: run: kindreg up --name ");
        up.says(&format!(" on {node}"));
        let x509 = verify.stderr.contains("x509:");
        println!("   {broken:?}: refused ({took:.1} s), x509 told: {x509}");
    }
}

#[track_caller]
fn a_cache_that_cannot_reach_its_upstream_says_so(scene: &Scene, place: &Place) {
    place.asks(&mirrors("upstream.test:5738"));
    place
        .up(scene)
        .run()
        .exits(1)
        .says("the cache of upstream.test:5738 did not start: it can't reach")
        .says("connection refused");
    // A name that others own gets no other CA unasked.
    place.asks(&mirrors("ghcr.io"));
    place
        .up(scene)
        .run()
        .exits(2)
        .says("for ghcr.io, which may be a public registry");
    place.asks(&mirrors(UPSTREAM));
    place.up(scene).run().exits(0).prints("Ready: 2 nodes");
}
