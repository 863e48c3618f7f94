//! The world as other programs than kindreg see it. Every call is bounded, and a failed one shows what it said.

use std::io::Write;
use std::process::{Command, Stdio};

/// Longest time that a program gets, in seconds. Pushes and `kubectl wait` on a busy machine take their time.
const LIMIT: &str = "180";

/// What a program came to: whether it succeeded, and all it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) ok: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    command: String,
}

impl Said {
    /// Both streams as one text.
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The output of a program that has to succeed.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert!(self.ok, "{} failed:\n{}", self.command, self.all());
        self.stdout
    }
}

/// Runs a program with an input.
#[track_caller]
pub(crate) fn run_with(program: &str, arguments: &[&str], input: &[u8]) -> Said {
    let command = format!("{program} {}", arguments.join(" "));
    let mut child = Command::new("timeout")
        .args(["--kill-after=5", LIMIT, program])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("can't run {command}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program that ends without reading it all is judged by what it says.
    let feeding = std::thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    Said {
        ok: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        command,
    }
}

/// Runs a program that may fail.
#[track_caller]
pub(crate) fn attempt(program: &str, arguments: &[&str]) -> Said {
    run_with(program, arguments, b"")
}

/// Runs docker's own command line; what it printed.
#[track_caller]
pub(crate) fn docker(arguments: &[&str]) -> String {
    attempt("docker", arguments).good()
}

/// The lines that docker printed.
#[track_caller]
pub(crate) fn docker_lines(arguments: &[&str]) -> Vec<String> {
    docker(arguments).lines().map(str::to_owned).collect()
}

/// Runs a command in a container.
#[track_caller]
pub(crate) fn exec(container: &str, command: &[&str]) -> String {
    docker(&[&["exec", container], command].concat())
}

/// Runs a shell script in a container.
#[track_caller]
pub(crate) fn sh(container: &str, script: &str) -> String {
    exec(container, &["sh", "-c", script])
}

/// Writes a file in a container, in place.
#[track_caller]
pub(crate) fn write_in(container: &str, path: &str, content: &str) {
    let script = format!("cat > '{path}'");
    let arguments = ["exec", "-i", container, "sh", "-c", &script];
    run_with("docker", &arguments, content.as_bytes()).good();
}

/// Runs kubectl in the control plane of a cluster.
#[track_caller]
pub(crate) fn kubectl(cluster: &str, arguments: &[&str]) -> String {
    let node = format!("{cluster}-control-plane");
    let kubectl = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf"];
    exec(&node, &[&kubectl, arguments].concat())
}

/// Gives a manifest to kubectl in the control plane of a cluster.
#[track_caller]
pub(crate) fn kubectl_apply(cluster: &str, manifest: &str) {
    let node = format!("{cluster}-control-plane");
    let arguments = [
        "exec",
        "-i",
        &node,
        "kubectl",
        "--kubeconfig",
        "/etc/kubernetes/admin.conf",
        "apply",
        "-f",
        "-",
    ];
    run_with("docker", &arguments, manifest.as_bytes()).good();
}

/// The containers of a kind cluster's nodes, in order. The load balancer of several control planes is none.
pub(crate) fn nodes(cluster: &str) -> Vec<String> {
    let filter = format!("label=io.x-k8s.kind.cluster={cluster}");
    let format = "{{.Names}} {{.Label \"io.x-k8s.kind.role\"}}";
    let lines = docker_lines(&["ps", "-a", "--filter", &filter, "--format", format]).into_iter();
    let nodes = lines.filter_map(|line| {
        let (name, role) = line.split_once(' ')?;
        (role != "external-load-balancer").then(|| name.to_owned())
    });
    let mut names: Vec<String> = nodes.collect();
    names.sort();
    names
}

/// The kind programs at work on a cluster: process id and command line.
pub(crate) fn kinds(cluster: &str) -> Vec<(i32, String)> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let found = processes.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let is_kind = words.first()?.ends_with(b"kind") && words.contains(&cluster.as_bytes());
        is_kind.then(|| (pid, String::from_utf8_lossy(&line).replace('\0', " ")))
    });
    found.collect()
}
