//! A password that is known to the test, and everywhere that it must not be.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::{Scene, attempt, docker, docker_lines, kubectl, nodes, run_with, sh};

/// The user of all tests with a password of their own.
const USER: &str = "kindreg-a";

/// A password that is looked for, plain and in base64, alone and behind its user.
#[derive(Debug, Clone)]
pub(crate) struct Canary {
    pub(crate) password: String,
    forms: Vec<String>,
}

impl Canary {
    /// A new one.
    pub(crate) fn new() -> Self {
        let now = std::time::SystemTime::now();
        let unique = now
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        let password = format!("Canary \"{unique}\" $HOME 'x' \\end");
        let basic = STANDARD.encode(format!("{USER}:{password}"));
        // Quoted or escaped somewhere, the number is still itself. In base64 its place decides, so whole words.
        let alone = STANDARD.encode(&password);
        let forms = vec![
            unique.to_string(),
            basic,
            alone.trim_end_matches('=').to_owned(),
        ];
        Self { password, forms }
    }

    /// Whether it stands in a text.
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        let has = |form: &String| {
            text.windows(form.len())
                .any(|window| window == form.as_bytes())
        };
        text.len() >= 16 && self.forms.iter().any(has)
    }

    /// Fails where it stands in a text.
    #[track_caller]
    pub(crate) fn is_not_in(&self, text: &str, what: &str) {
        assert!(!self.is_in(text.as_bytes()), "the password is in {what}");
    }

    /// It is in no log, no event, no inspection and no file that others may read.
    #[track_caller]
    pub(crate) fn is_nowhere(&self, scene: &Scene) {
        for name in docker_lines(&["ps", "-a", "--format", "{{.Names}}"]) {
            if name.contains(scene.cluster) {
                self.is_not_in(
                    &attempt("docker", &["logs", &name]).all(),
                    &format!("the log of {name}"),
                );
                self.is_not_in(
                    &docker(&["inspect", &name]),
                    &format!("the inspection of {name}"),
                );
            }
        }
        for node in nodes(scene.cluster) {
            self.is_not_in(
                &sh(&node, "journalctl --no-pager"),
                &format!("the journal of {node}"),
            );
            // By standard input: an argument would be seen.
            let places = "/var/lib/kubelet /var/lib/kindreg /var/log /etc /root";
            let script = format!("grep -rlFf - {places} 2>/dev/null || true");
            let arguments = ["exec", "-i", &node, "sh", "-c", &script];
            let found = run_with("docker", &arguments, self.forms.join("\n").as_bytes()).good();
            assert_eq!(found.trim(), "/var/lib/kubelet/config.json", "{node}");
            let mode = sh(&node, "stat -c %a /var/lib/kubelet/config.json");
            assert_eq!(mode.trim(), "600");
        }
        for kind in ["events", "pods", "configmaps", "serviceaccounts", "nodes"] {
            let said = kubectl(scene.cluster, &["get", kind, "-A", "-o", "json"]);
            self.is_not_in(&said, kind);
        }
        self.is_not_on_the_machine(scene);
    }

    /// It is in nothing that `down` leaves.
    #[track_caller]
    pub(crate) fn is_not_on_the_machine(&self, scene: &Scene) {
        for kind in ["network", "volume"] {
            for name in docker_lines(&[kind, "ls", "--format", "{{.Name}}"]) {
                self.is_not_in(&attempt("docker", &[kind, "inspect", &name]).all(), &name);
            }
        }
        for place in [scene.home(), Path::new("/etc/docker")] {
            self.is_in_no_file(place);
        }
    }

    #[track_caller]
    fn is_in_no_file(&self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                self.is_in_no_file(&path);
            } else if path.ends_with(".docker/config.json") {
                // Where `docker login` would put it, too.
                let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap());
                assert_eq!(mode & 0o777, 0o600);
            } else {
                let text = fs::read(&path).unwrap_or_default();
                assert!(!self.is_in(&text), "the password is in {}", path.display());
            }
        }
    }

    /// Watches every process, every event of the engine and every new container until [`Watch::saw_nothing`].
    #[track_caller]
    pub(crate) fn watch(&self) -> Watch {
        let end = Arc::new(AtomicBool::new(false));
        let (canary, ended) = (self.clone(), Arc::clone(&end));
        let processes = spawn(move || canary.in_processes(&ended));
        let mut events = Command::new("docker")
            .args(["events", "--format", "{{json .}}"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (canary, lines) = (self.clone(), BufReader::new(events.stdout.take().unwrap()));
        let engine = spawn(move || canary.in_events(lines));
        Watch {
            end,
            processes,
            events,
            engine,
        }
    }

    /// Where it stood in the arguments or the environment of a process, and the number of looks.
    fn in_processes(&self, ended: &AtomicBool) -> (Vec<String>, usize) {
        let (mut seen, mut looks) = (Vec::new(), 0);
        while !ended.load(Ordering::SeqCst) {
            for process in fs::read_dir("/proc").unwrap().flatten() {
                for file in ["cmdline", "environ"] {
                    let text = fs::read(process.path().join(file)).unwrap_or_default();
                    if self.is_in(&text) {
                        seen.push(format!("{file}: {}", String::from_utf8_lossy(&text)));
                    }
                }
            }
            looks += 1;
            sleep(Duration::from_millis(10));
        }
        (seen, looks)
    }

    /// Where it stood in events, which show every command in a container, and in containers however short they lived;
    /// and the number of these.
    fn in_events(&self, lines: impl BufRead) -> (Vec<String>, usize) {
        let (mut seen, mut containers) = (Vec::new(), 0);
        for line in lines.lines().map_while(Result::ok) {
            if self.is_in(line.as_bytes()) {
                seen.push(line.clone());
            }
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["Type"] == "container" && event["Action"] == "create" {
                let id = event["Actor"]["ID"].as_str().unwrap_or_default();
                let said = attempt("docker", &["inspect", id]);
                containers += usize::from(said.ok);
                if self.is_in(said.all().as_bytes()) {
                    seen.push(said.all());
                }
            }
        }
        (seen, containers)
    }
}

/// Looks at every process, event and container, over and over.
#[derive(Debug)]
pub(crate) struct Watch {
    end: Arc<AtomicBool>,
    processes: JoinHandle<(Vec<String>, usize)>,
    events: Child,
    engine: JoinHandle<(Vec<String>, usize)>,
}

impl Watch {
    /// Ends it; nothing was seen.
    #[track_caller]
    pub(crate) fn saw_nothing(mut self) {
        self.end.store(true, Ordering::SeqCst);
        let (mut seen, looks) = self.processes.join().unwrap();
        self.events.kill().unwrap();
        self.events.wait().unwrap();
        let (more, containers) = self.engine.join().unwrap();
        seen.extend(more);
        println!("   {looks} looks at every process, {containers} new containers inspected");
        assert_eq!(seen, Vec::<String>::new());
        assert!(looks > 100 && containers > 5, "it did not look");
    }
}
