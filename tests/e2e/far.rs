//! Engines that are reached by ssh, and what another processor runs. A real sshd on loopback leads to the same engine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kindreg::internal::oci::proof::{Architecture, GREETING, proof_image};
use tempfile::TempDir;

use crate::support::{Call, Kubeconfig, Scene, attempt, kubectl, run_with, scratch};

const PORT: u16 = 5990;

/// An sshd of this test's own, and an ssh that knows it and has a key for it.
struct Sshd {
    folder: TempDir,
    process: Child,
}

impl Sshd {
    fn start() -> Self {
        let folder = scratch();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for key in ["host", "user"] {
            attempt(
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-f", &at(key)],
            )
            .good();
        }
        let public = |name: &str| fs::read_to_string(at(name)).unwrap();
        fs::write(
            at("known"),
            format!("[127.0.0.1]:{PORT} {}", public("host.pub")),
        )
        .unwrap();
        let server = format!(
            "Port {PORT}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\n",
            at("host"),
            at("user.pub")
        );
        fs::write(at("sshd_config"), server).unwrap();
        let client = format!(
            "IdentityFile {}\nIdentitiesOnly yes\nUserKnownHostsFile {}\nStrictHostKeyChecking yes\n",
            at("user"),
            at("known")
        );
        fs::write(at("config"), client).unwrap();
        // ssh looks for its settings in the folder of the password file, whatever HOME says.
        fs::create_dir(folder.path().join("bin")).unwrap();
        let script = format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", at("config"));
        fs::write(at("bin/ssh"), script).unwrap();
        fs::set_permissions(at("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        let process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-f", &at("sshd_config")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let sshd = Self { folder, process };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", PORT)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "no sshd");
            std::thread::sleep(Duration::from_millis(50));
        }
        sshd
    }

    /// A call whose engine is behind this sshd.
    fn reach(&self, call: Call, host: &str) -> Call {
        let ours = self.folder.path().join("bin");
        let path = std::env::var_os("PATH").unwrap();
        let all = [ours].into_iter().chain(std::env::split_paths(&path));
        call.env("PATH", std::env::join_paths(all).unwrap())
            .env("DOCKER_HOST", host)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The address of the tests' engine behind that sshd.
fn behind(user: &str, port: u16) -> String {
    let socket = std::env::var("DOCKER_HOST").unwrap();
    let socket = PathBuf::from(socket.trim_start_matches("unix://"));
    format!("ssh://{user}@127.0.0.1:{port}{}", socket.display())
}

#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn what_keeps_ssh_from_an_engine_is_said() {
    let scene = Scene::new("e2e-ssh", 5991, Kubeconfig::Absent);
    let sshd = Sshd::start();
    let list = |host: &str| sshd.reach(scene.call(&["list"]), host).run();
    list(&behind("root", PORT)).exits(0);
    for (host, why) in [
        (behind("stranger", PORT), "Permission denied"),
        (
            behind("root", PORT).replace("127.0.0.1", "localhost"),
            "Host key verification failed",
        ),
        (behind("root", PORT - 1), "Connection refused"),
        (
            format!("ssh://root@127.0.0.1:{PORT}/nowhere.sock"),
            "open failed",
        ),
    ] {
        let said = list(&host).exits(1).says(why);
        said.says("hint: run: ssh -p ");
    }
    scene.is_as_before();
}

#[test]
#[ignore = "takes a minute: make soak"]
fn a_cluster_of_an_engine_behind_ssh() {
    let scene = Scene::new("e2e-far", 5992, Kubeconfig::Absent);
    let sshd = Sshd::start();
    let host = behind("root", PORT);
    let there = |call: Call| sshd.reach(call, &host).run();
    there(scene.up(&[]))
        .exits(0)
        .prints("The engine is on 127.0.0.1, and so is localhost")
        .prints(&format!(" -p {PORT} root@127.0.0.1"));
    there(scene.call(&["status", "--name", scene.cluster]))
        .exits(0)
        .prints("engine on 127.0.0.1");
    there(scene.call(&["verify", "--name", scene.cluster])).exits(0);
    kubectl(scene.cluster, &["get", "nodes"]);
    there(scene.down()).exits(0).prints("Removed: ");
    scene.is_as_before();
}

#[test]
#[ignore = "needs qemu-user-static: make e2e"]
fn the_proof_for_arm64_runs_and_greets() {
    let folder = scratch();
    let image = proof_image(Architecture::Arm64, "r.test/a:1", b"nonce").unwrap();
    let [_, layer] = image.stored().blobs;
    let into = folder.path().display().to_string();
    run_with("tar", &["-x", "-C", &into, "-f", "-"], &layer).good();
    let said = attempt("qemu-aarch64-static", &[&format!("{into}/proof")]).good();
    assert_eq!(said, GREETING);
}
