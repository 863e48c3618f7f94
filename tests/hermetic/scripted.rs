//! An engine of a few lines at a socket, for what no real engine does and the in-memory one can't: endless streams, and
//! answers that never end. The program runs against it as it is typed.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The answer to one request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A status and a JSON document.
    Json(u16, String),
    /// A stream that begins with these bytes and goes on with zeros, as many as are read.
    Endless(Vec<u8>),
    /// A stream that begins with these bytes and never goes on, nor ends.
    Stuck(Vec<u8>),
    /// Lines of JSON by their number, one every 20 ms, until the client leaves.
    Trickle(fn(u64) -> String),
    /// Nothing, for ever.
    Silence,
}

pub(crate) type Script = dyn Fn(&str, &str) -> Reply + Send + Sync;

/// A scripted engine, and a folder with programs that the client wants to find.
pub(crate) struct Scripted {
    folder: tempfile::TempDir,
    /// The most bytes that one stream could send before its reader left.
    pub(crate) sent: Arc<AtomicU64>,
    /// The paths that were asked for, in order.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Starts an engine that answers by this script: method and path → answer. It ends with the test.
    pub(crate) fn new(script: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        let (sent, asked) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(Mutex::new(Vec::new())),
        );
        let script: Arc<Script> = Arc::new(script);
        let (count, log) = (Arc::clone(&sent), Arc::clone(&asked));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (script, count, log) = (script.clone(), count.clone(), log.clone());
                thread::spawn(move || serve(&client, &*script, &count, &log));
            }
        });
        let scripted = Self {
            folder,
            sent,
            asked,
        };
        for name in ["kind", "docker"] {
            scripted.program(name, "exit 1");
        }
        scripted
    }

    /// Writes a program that the client finds in PATH.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let path = self.folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Waits until a path with these words was asked for.
    pub(crate) fn wait_for(&self, words: &str) {
        let asked = || {
            self.asked
                .lock()
                .unwrap()
                .iter()
                .any(|path| path.contains(words))
        };
        while !asked() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts the program with these arguments.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let folder = self.folder.path();
        Command::new(env!("CARGO_BIN_EXE_kindreg"))
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("HOME", folder)
            .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
            .env(
                "DOCKER_HOST",
                format!("unix://{}/docker.sock", folder.display()),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs the program, and returns its outcome and the most memory that it had, in KiB.
    pub(crate) fn run(&self, arguments: &[&str]) -> (Output, u64) {
        let child = self.start(arguments);
        let status = format!("/proc/{}/status", child.id());
        let peak = thread::spawn(move || {
            let mut peak = 0;
            // A zombie has no such line.
            while let Some(now) = high_water(&status) {
                peak = now;
                thread::sleep(Duration::from_millis(2));
            }
            peak
        });
        let output = child.wait_with_output().unwrap();
        (output, peak.join().unwrap())
    }
}

/// Returns the most resident memory of a process so far, in KiB; `None` after it has ended.
fn high_water(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Answers the requests of one connection, until the client leaves.
fn serve(client: &UnixStream, script: &Script, sent: &AtomicU64, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(client);
    let mut writer = client;
    while let Some((method, path)) = request(&mut reader) {
        log.lock().unwrap().push(path.clone());
        let answered = match script(&method, &path) {
            Reply::Json(status, body) => {
                let length = body.len();
                // An answer to HEAD has no body.
                let body = if method == "HEAD" { "" } else { &body };
                let head = "Content-Type: application/json\r\nApi-Version: 1.47\r\n";
                write!(
                    writer,
                    "HTTP/1.1 {status} X\r\n{head}Content-Length: {length}\r\n\r\n{body}"
                )
            }
            Reply::Endless(first) => endless(writer, &first, sent),
            Reply::Stuck(first) => {
                let _ = begin(writer).and_then(|()| chunk(writer, &first));
                silence(&mut reader);
                return;
            }
            Reply::Trickle(line) => trickle(writer, line),
            Reply::Silence => {
                silence(&mut reader);
                return;
            }
        };
        if answered.is_err() {
            return;
        }
    }
}

/// Waits until the client leaves.
fn silence(reader: &mut impl BufRead) {
    let _ = std::io::copy(reader, &mut std::io::sink());
}

fn begin(mut writer: &UnixStream) -> std::io::Result<()> {
    let head = "Content-Type: application/x-tar\r\nTransfer-Encoding: chunked";
    write!(writer, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n")
}

fn chunk(mut writer: &UnixStream, bytes: &[u8]) -> std::io::Result<()> {
    write!(writer, "{:x}\r\n", bytes.len())?;
    writer.write_all(bytes)?;
    writer.write_all(b"\r\n")
}

/// Sends 700 MB, unless the client leaves before.
fn endless(writer: &UnixStream, first: &[u8], sent: &AtomicU64) -> std::io::Result<()> {
    begin(writer)?;
    chunk(writer, first)?;
    let zeros = vec![0; 1 << 16];
    let mut total = 0;
    while total < 700_000_000 {
        chunk(writer, &zeros)?;
        total += zeros.len() as u64;
        sent.fetch_max(total, Ordering::Relaxed);
    }
    chunk(writer, &[])
}

fn trickle(writer: &UnixStream, line: fn(u64) -> String) -> std::io::Result<()> {
    begin(writer)?;
    for number in 0.. {
        chunk(writer, format!("{}\r\n", line(number)).as_bytes())?;
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Answers for an engine with nothing in it, which only reads.
pub(crate) fn empty(method: &str, path: &str) -> Reply {
    let json = |text: &str| Reply::Json(200, text.to_owned());
    let route = path.split('?').next().unwrap_or(path);
    match (method, route) {
        (_, "/version") => json(
            r#"{"Version":"29.0.0","ApiVersion":"1.47","MinAPIVersion":"1.24","Os":"linux","Arch":"amd64"}"#,
        ),
        ("GET", "/info") => json(r#"{"ServerVersion":"29.0.0","Name":"scripted"}"#),
        ("GET", "/containers/json" | "/networks") => json("[]"),
        ("GET", "/volumes") => json(r#"{"Volumes":[]}"#),
        ("GET" | "HEAD", _) => Reply::Json(404, r#"{"message":"No such thing"}"#.to_owned()),
        _ => Reply::Json(500, r#"{"message":"this engine only reads"}"#.to_owned()),
    }
}

/// Reads one request, and returns its method and path without the version of the API.
fn request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?);
    let path = match path
        .strip_prefix("/v1.")
        .and_then(|rest| rest.split_once('/'))
    {
        Some((_, rest)) => format!("/{rest}"),
        None => path.to_owned(),
    };
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path))
}

/// A container as the engine reports it in a list, and by its name.
pub(crate) fn container(name: &str, labels: &serde_json::Value) -> (String, String) {
    let networks = serde_json::json!({"Networks": {"kindreg-c": {}}});
    let listed = serde_json::json!({
        "Id": format!("{name}-id"), "Names": [format!("/{name}")], "Image": "kindest/node:v1.34.4",
        "State": "running", "Labels": labels, "NetworkSettings": networks,
        "HostConfig": {"NetworkMode": "kindreg-c"},
    });
    let inspected = serde_json::json!({
        "Id": format!("{name}-id"), "Name": format!("/{name}"), "State": {"Status": "running"},
        "Config": {"Image": "kindest/node:v1.34.4", "Labels": labels}, "NetworkSettings": networks,
        "HostConfig": {"NetworkMode": "kindreg-c"},
    });
    (listed.to_string(), inspected.to_string())
}

/// An engine with a cluster `c` of one node and one registry, where `archive` answers for the files in containers and
/// everything that is not a read fails.
pub(crate) fn with_cluster(archive: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Scripted {
    use kindreg::internal::observe::RecordedSpec;
    let mut spec = crate::world::spec();
    crate::world::owned(&mut spec).workers = kindreg::spec::Workers::new(0).unwrap();
    let record = serde_json::to_string(&RecordedSpec::new(spec, Vec::new())).unwrap();
    let ours = serde_json::json!({
        "dev.kindreg.cluster": "c", "dev.kindreg.mode": "owned", "dev.kindreg.record": record,
    });
    let (listed_record, record) = container("kindreg-c", &ours);
    let node = serde_json::json!({
        "io.x-k8s.kind.cluster": "c", "io.x-k8s.kind.role": "control-plane",
    });
    let (listed_node, node) = container("c-control-plane", &node);
    let registry =
        serde_json::json!({"dev.kindreg.cluster": "c", "dev.kindreg.registry": "registry"});
    let (listed_registry, registry) = container("kindreg-c-registry", &registry);
    Scripted::new(move |method, path| {
        let json = |text: &str| Reply::Json(200, text.to_owned());
        let (route, query) = path.split_once('?').unwrap_or((path, ""));
        match (method, route) {
            ("GET", "/containers/kindreg-c/json") => json(&record),
            ("GET", "/containers/c-control-plane/json") => json(&node),
            ("GET", "/containers/kindreg-c-registry/json") => json(&registry),
            ("GET", "/containers/json") if query.contains("io.x-k8s.kind.cluster") => {
                json(&format!("[{listed_node}]"))
            }
            ("GET", "/containers/json") => json(&format!("[{listed_record},{listed_registry}]")),
            ("GET", route) if route.ends_with("/archive") => archive(path),
            _ => empty(method, path),
        }
    })
}
