//! A test's own place: a cluster's name, a port, a home. Whatever becomes of the test, its cluster is removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::machine::Machine;
use super::program::Call;
use super::world::{attempt, docker, docker_lines, exec, kinds, nodes};

/// Whether the test's user has a kubeconfig.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kubeconfig {
    /// There is one, with a current context.
    Other,
    /// There is none.
    Absent,
}

/// Where the engine's host has its CAs.
const HOST_CERTS: &str = "/etc/docker/certs.d";

/// The other context of a user that has one.
pub(crate) const OTHER: &str = "apiVersion: v1
kind: Config
clusters:
- name: other
  cluster:
    server: https://192.0.2.1:6443
contexts:
- name: other-context
  context:
    cluster: other
    user: other
users:
- name: other
  user: {}
current-context: other-context
";

/// A test's place.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) cluster: &'static str,
    pub(crate) port: u16,
    home: TempDir,
    before: Machine,
}

/// A variable that tests/e2e/run sets.
#[track_caller]
pub(crate) fn setting(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run these tests by tests/e2e/run"))
}

/// Images that only some tests need. Dropped, they are removed: the last test prunes the engine, and gets back only
/// those that every test needs.
#[derive(Debug)]
#[must_use = "dropped, the images are removed"]
pub(crate) struct Loaded {
    /// What `bed load` calls them.
    what: &'static str,
    images: &'static [&'static str],
}

impl Loaded {
    /// kindreg as the Dockerfile packs it.
    #[track_caller]
    pub(crate) fn kindreg() -> Self {
        Self::load("kindreg", &["kindreg:test"])
    }

    /// What kind puts before several control planes.
    #[track_caller]
    pub(crate) fn load_balancers() -> Self {
        let images = &[
            "envoyproxy/envoy:v1.36.2",
            "kindest/haproxy:v20230606-42a2262b",
        ];
        Self::load("load-balancers", images)
    }

    /// Loads them into the engine, before a test looks at the machine.
    #[track_caller]
    fn load(what: &'static str, images: &'static [&'static str]) -> Self {
        let loaded = Self { what, images };
        let command = format!("{} {}", setting("KINDREG_E2E_LOAD"), loaded.what);
        let status = Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(status.success(), "{command}");
        loaded
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        attempt("docker", &[&["image", "rm", "-f"], self.images].concat());
    }
}

/// What a setting asks for (`2.3`) is what is there (`2.3.7`).
#[track_caller]
fn assert_version(what: &str, found: &str, name: &str) {
    let wanted = setting(name);
    println!("   {what} {found}");
    assert!(
        format!("{found}.").starts_with(&format!("{wanted}.")),
        "{what} {found} is not the {wanted} that {name} asks for"
    );
}

/// Which test begins, and on which engine.
#[track_caller]
fn announce() {
    let test = std::thread::current();
    println!("\n-- {}", test.name().unwrap_or_default());
    let version = docker(&["version", "--format", "{{.Server.Version}}"]);
    assert_version("Docker", version.trim(), "KINDREG_E2E_ENGINE");
}

/// A folder for files that are no concern of the user's.
pub(crate) fn scratch() -> TempDir {
    TempDir::with_prefix("kindreg-e2e-").unwrap()
}

impl Scene {
    /// A place of its own, on the engine that was asked for.
    #[track_caller]
    pub(crate) fn new(cluster: &'static str, port: u16, kubeconfig: Kubeconfig) -> Self {
        assert!(
            cluster.starts_with("e2e-"),
            "{cluster} is not ours to remove"
        );
        announce();
        for image in ["KINDREG_IMAGE", "KINDREG_REGISTRY_IMAGE"] {
            docker(&["image", "inspect", "--format", "{{.Id}}", &setting(image)]);
        }
        // A run of this test that was killed may have left it.
        clear(cluster, port);
        let home = scratch();
        fs::create_dir(home.path().join("run")).unwrap();
        if kubeconfig == Kubeconfig::Other {
            fs::create_dir(home.path().join(".kube")).unwrap();
            fs::write(home.path().join(".kube/config"), OTHER).unwrap();
        }
        let before = Machine::snapshot(home.path());
        Self {
            cluster,
            port,
            home,
            before,
        }
    }

    /// The same place for the next test: what was there before the first still counts.
    #[track_caller]
    pub(crate) fn taken_over(self) -> Self {
        announce();
        self
    }

    /// The user's home.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Canonical name of the registry, with its port.
    pub(crate) fn domain(&self) -> String {
        format!("registry.test:{}", self.port)
    }

    /// The registry's name on the engine's host.
    pub(crate) fn local_domain(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The registry's container.
    pub(crate) fn registry(&self) -> String {
        format!("kindreg-{}-registry", self.cluster)
    }

    /// The folder of the registry's CA on the engine's host.
    pub(crate) fn host_certs(&self) -> PathBuf {
        Path::new(HOST_CERTS).join(self.domain())
    }

    /// A call of kindreg as this user.
    pub(crate) fn call(&self, arguments: &[&str]) -> Call {
        let home = self.home();
        let mut call = Call::new(arguments)
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home.join("run"))
            .env("PATH", setting("PATH"));
        for name in ["DOCKER_HOST", "KINDREG_IMAGE", "KINDREG_REGISTRY_IMAGE"] {
            if let Some(value) = std::env::var_os(name) {
                call = call.env(name, value);
            }
        }
        call
    }

    /// `kindreg up` of this cluster.
    pub(crate) fn up(&self, arguments: &[&str]) -> Call {
        let port = self.port.to_string();
        self.call(&["up", "--name", self.cluster, "--port", &port])
            .args(arguments)
    }

    /// Logs this user's docker in to the registry, and gives docker's flag for this user's settings.
    #[track_caller]
    pub(crate) fn login(&self) -> String {
        self.call(&["login", "--name", self.cluster]).run().exits(0);
        format!("--config={}", self.home().join(".docker").display())
    }

    /// User and password of the registry, as curl's `-u` takes them.
    #[track_caller]
    pub(crate) fn user(&self) -> String {
        let said = self
            .call(&[
                "env",
                "--name",
                self.cluster,
                "--format",
                "json",
                "--show-secrets",
            ])
            .run()
            .exits(0);
        let all: std::collections::BTreeMap<String, String> =
            serde_json::from_str(&said.stdout).unwrap();
        let ending = |end: &str| {
            all.iter()
                .find(|(name, _)| name.ends_with(end))
                .unwrap()
                .1
                .clone()
        };
        format!("{}:{}", ending("_USR"), ending("_PSW"))
    }

    /// `kindreg down` of this cluster.
    pub(crate) fn down(&self) -> Call {
        self.call(&["down", "--name", self.cluster])
    }

    /// `kindreg verify` of this cluster.
    pub(crate) fn verify(&self) -> Call {
        self.call(&["verify", "--name", self.cluster])
    }

    /// Every node pulls, and refuses once it lacks the CA.
    #[track_caller]
    pub(crate) fn is_strictly_proven(&self) {
        let verify = self.verify().args(&["--strict"]).run().exits(0);
        verify.prints("without the CA it refuses");
    }

    /// The cluster has this many nodes, with the containerd that was asked for.
    #[track_caller]
    pub(crate) fn has_nodes(&self, number: usize) {
        let nodes = nodes(self.cluster);
        assert_eq!(nodes.len(), number, "{nodes:?}");
        for node in nodes {
            let said = exec(&node, &["containerd", "--version"]);
            let version = said.split_whitespace().nth(2).unwrap_or_default();
            let what = format!("containerd of {node}");
            assert_version(
                &what,
                version.trim_start_matches('v'),
                "KINDREG_E2E_CONTAINERD",
            );
        }
    }

    /// The machine is as it was before the test, and no kind is at work.
    #[track_caller]
    pub(crate) fn is_as_before(&self) {
        Machine::snapshot(self.home()).is_as(&self.before);
        self.no_kind_is_at_work();
    }

    /// No kind is left behind.
    #[track_caller]
    pub(crate) fn no_kind_is_at_work(&self) {
        assert_eq!(kinds(self.cluster), [], "a kind is still at work");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            report(self.cluster);
        }
        self.down().start().end();
        clear(self.cluster, self.port);
    }
}

/// What helps to understand a failure.
fn report(cluster: &str) {
    println!("-- the world as the test left it");
    let mut calls = vec![vec!["ps".to_owned(), "-a".to_owned()]];
    for node in nodes(cluster) {
        let journal = "journalctl --no-pager -n 25 -u containerd -u kubelet";
        calls.push(
            ["exec", &node, "sh", "-c", journal]
                .map(str::to_owned)
                .into(),
        );
    }
    calls.push(vec![
        "logs".to_owned(),
        "--tail=15".to_owned(),
        format!("kindreg-{cluster}-registry"),
    ]);
    for call in calls {
        println!("$ docker {}", call.join(" "));
        let arguments: Vec<&str> = call.iter().map(String::as_str).collect();
        for line in attempt("docker", &arguments).all().lines() {
            // A registry's traces are some kilobytes a line.
            println!("{}", line.chars().take(300).collect::<String>());
        }
    }
}

/// Removes a test's cluster without kindreg: what has its label or its name, its kind, its trust.
fn clear(cluster: &str, port: u16) {
    for (pid, _) in kinds(cluster) {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
    }
    let filters = [
        format!("label=dev.kindreg.cluster={cluster}"),
        format!("label=io.x-k8s.kind.cluster={cluster}"),
        format!("name=^/?(kindreg-)?{cluster}(-|$)"),
    ];
    let remove = |list: &[&str], removal: &[&str]| {
        for filter in &filters {
            let found = docker_lines(&[list, &["--filter", filter]].concat());
            if !found.is_empty() {
                println!("   removing what is left: {}", found.join(" "));
                let found: Vec<&str> = found.iter().map(String::as_str).collect();
                attempt("docker", &[removal, &found].concat());
            }
        }
    };
    remove(&["ps", "-a", "--format", "{{.Names}}"], &["rm", "-f", "-v"]);
    for kind in ["network", "volume"] {
        remove(&[kind, "ls", "--format", "{{.Name}}"], &[kind, "rm"]);
    }
    let pushed = format!("reference=localhost:{port}/*/*");
    for image in docker_lines(&[
        "image",
        "ls",
        "--filter",
        &pushed,
        "--format",
        "{{.Repository}}:{{.Tag}}",
    ]) {
        println!("   removing what is left: {image}");
        attempt("docker", &["image", "rm", &image]);
    }
    for folder in fs::read_dir(HOST_CERTS).into_iter().flatten().flatten() {
        let file = folder.path().join(format!("kindreg-{cluster}.crt"));
        if fs::remove_file(&file).is_ok() {
            println!("   removing what is left: {}", file.display());
            // Folders only if nothing else is in them.
            fs::remove_dir(folder.path()).ok();
            fs::remove_dir(HOST_CERTS).ok();
        }
    }
}
