//! A second Docker engine, on a machine of its own as far as clients can tell: it has its own network, addresses,
//! loopback, `/etc` and data. Only the kernel and the programs are the bed's.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::program::Call;
use super::scene::{scratch, setting};
use super::world::{Said, attempt};

/// The name of its network namespace, and of this machine's end of the wire.
const PLACE: &str = "e2e-far";

/// Its address.
pub(crate) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 213, 0, 2));

/// Another address of it.
pub(crate) const OTHER_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 213, 0, 3));

/// This machine's address on the wire.
const OURS: &str = "10.213.0.1/24";

/// How long it may take to start, and to end with its containers.
const LIMIT: Duration = Duration::from_secs(60);

/// The engine. Dropped, it ends with all that it has.
#[derive(Debug)]
pub(crate) struct FarEngine {
    folder: TempDir,
    process: Option<Child>,
}

impl FarEngine {
    /// Starts it without images, with these settings in its `daemon.json` besides those that it needs.
    #[track_caller]
    pub(crate) fn start(settings: &Value) -> Self {
        forget();
        wire();
        let folder = scratch();
        for name in ["etc", "work", "data"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut engine = Self {
            folder,
            process: None,
        };
        engine.run(settings);
        engine
    }

    /// Restarts it with other settings.
    #[track_caller]
    pub(crate) fn restart(&mut self, settings: &Value) {
        self.end();
        self.run(settings);
    }

    #[track_caller]
    fn run(&mut self, settings: &Value) {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let bed = bed();
        let program = |name: &str| bed.join("current").join(name).display().to_string();
        let mut all = json!({
            "hosts": [format!("unix://{}", at("docker.sock"))],
            "pidfile": at("docker.pid"),
            "exec-root": at("exec"),
            "data-root": at("data"),
            "runtimes": {"compat": {"path": program("runc/runc")}},
            "default-runtime": "compat",
        });
        let hosts = settings["hosts"].as_array().cloned().unwrap_or_default();
        let given = settings.as_object().unwrap().clone().into_iter();
        let fields = all.as_object_mut().unwrap();
        fields.extend(given.filter(|(name, _)| name != "hosts"));
        fields["hosts"].as_array_mut().unwrap().extend(hosts);
        fs::write(at("daemon.json"), all.to_string()).unwrap();

        // Not by `ip netns exec`, which mounts another /sys, without cgroups. What the engine and its containers write to
        // /etc goes to a folder of ours.
        let layers = format!(
            "lowerdir=/etc,upperdir={},workdir={}",
            at("etc"),
            at("work")
        );
        let script = format!(
            "mount -t overlay -o {layers} overlay /etc && exec {} --config-file {}",
            program("docker/dockerd"),
            at("daemon.json")
        );
        let path = ["docker", "containerd", "runc"].map(program).join(":");
        let log = fs::File::create(at("log")).unwrap();
        let process = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{PLACE}"))
            .args(["unshare", "--mount", "--propagation", "private"])
            .args(["sh", "-c", &script])
            .env("PATH", format!("{path}:/usr/sbin:/usr/bin:/sbin:/bin"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        let begun = Instant::now();
        while !self.attempt(&["version"]).ok {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < LIMIT,
                "the far engine does not start:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Loads the images of the bed that a cluster needs.
    #[track_caller]
    pub(crate) fn load(&self) {
        let nodes = match &*setting("KINDREG_E2E_CONTAINERD") {
            "1.7" => "oldest-node-image",
            _ => "node-images",
        };
        for images in ["registry-image", nodes] {
            let archive = bed().join("current").join(images).join("images.tar");
            self.docker(&["load", "-q", "-i", &archive.display().to_string()]);
        }
    }

    /// Runs docker against it, through its socket.
    pub(crate) fn attempt(&self, arguments: &[&str]) -> Said {
        let socket = self.folder.path().join("docker.sock");
        let host = format!("unix://{}", socket.display());
        attempt("docker", &[&["-H", &host], arguments].concat())
    }

    /// Runs docker against it; what it printed.
    #[track_caller]
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        self.attempt(arguments).good()
    }

    /// A call of kindreg whose engine is this one, by its socket: a client on the same machine as the engine, but for the
    /// loopback.
    pub(crate) fn nearby(&self, call: Call) -> Call {
        let socket = self.folder.path().join("docker.sock");
        call.env("DOCKER_HOST", format!("unix://{}", socket.display()))
    }

    /// Nothing of a cluster is left in it, and nothing was left in its `/etc/docker`.
    #[track_caller]
    pub(crate) fn has_nothing_left(&self) {
        let containers = self.docker(&["ps", "-aq"]);
        let networks = self.docker(&["network", "ls", "-q", "--filter", "type=custom"]);
        let volumes = self.docker(&["volume", "ls", "-q"]);
        assert_eq!((&*containers, &*networks, &*volumes), ("", "", ""));
        let written = self.folder.path().join("etc/docker/certs.d");
        let left = fs::read_dir(written).into_iter().flatten().count();
        assert_eq!(left, 0, "in its /etc/docker/certs.d");
    }

    fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Ends it with its containers.
    fn end(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        let left = self.attempt(&["ps", "-aq"]).stdout;
        let left: Vec<&str> = left.lines().collect();
        if !left.is_empty() {
            self.attempt(&[&["rm", "-f", "-v"], &*left].concat());
        }
        let pid = Pid::from_raw(process.id().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).ok();
        let begun = Instant::now();
        while process.try_wait().is_ok_and(|ended| ended.is_none()) {
            if begun.elapsed() > LIMIT {
                process.kill().ok();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for FarEngine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("-- the far engine's log\n{}", self.log());
        }
        self.end();
        forget();
    }
}

/// The bed's folder.
fn bed() -> PathBuf {
    let host = setting("DOCKER_HOST");
    let socket = Path::new(host.trim_start_matches("unix://"));
    socket.ancestors().nth(2).unwrap().to_owned()
}

fn ip(arguments: &[&str]) -> Said {
    attempt("ip", arguments)
}

/// Removes what a run that was killed has left: processes, namespace, wire.
fn forget() {
    for pid in ip(&["netns", "pids", PLACE]).stdout.lines() {
        if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::KILL).ok();
        }
    }
    ip(&["link", "del", PLACE]);
    ip(&["netns", "del", PLACE]);
}

/// Makes the namespace, and the wire to it.
#[track_caller]
fn wire() {
    let (address, other) = (format!("{ADDRESS}/24"), format!("{OTHER_ADDRESS}/24"));
    for line in [
        &["netns", "add", PLACE][..],
        &[
            "link", "add", PLACE, "type", "veth", "peer", "name", "eth0", "netns", PLACE,
        ],
        &["addr", "add", OURS, "dev", PLACE],
        &["link", "set", PLACE, "up"],
        &["-n", PLACE, "link", "set", "lo", "up"],
        &["-n", PLACE, "addr", "add", &address, "dev", "eth0"],
        &["-n", PLACE, "addr", "add", &other, "dev", "eth0"],
        &["-n", PLACE, "link", "set", "eth0", "up"],
    ] {
        ip(line).good();
    }
}
