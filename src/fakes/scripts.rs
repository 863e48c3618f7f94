//! What the scripts do that steps send to containers, on the files of the fake engine. Nothing runs a shell.

use crate::docker::ExecOutput;
use crate::docker::fake::{FakeDocker, FakeFiles, Listener};
use crate::observe::CHANGED_SINCE_START;
use crate::ops::TRY;
use crate::registry::REMOVE_PROOF;
use crate::render::WRITTEN_BY_KINDREG;
use crate::steps::host::{INSTALL, REMOVE, SWEEP};
use crate::steps::nodes::{
    FORGET_FOLDERS, FORGET_HOSTS, HAND_OVER, KEEP_HOSTS, RECONFIGURE, REVOKE,
};
use crate::steps::registry::{ASK, ASK_PORT, RENAME};

/// containerd's configuration file in a node.
const CONTAINERD_CONFIG: &str = "/etc/containerd/config.toml";
/// Where a test names the files of a node that changed after its containerd had started, a line each.
#[doc(hidden)]
pub const CHANGED_FILES: &str = "/run/changed-since-start";
/// kubelet's credentials file in a node.
const KUBELET_CONFIG: &str = "/var/lib/kubelet/config.json";

/// Returns the output of a program that succeeded.
fn success() -> ExecOutput {
    ExecOutput {
        code: 0,
        stdout: Vec::new(),
        stderr: Vec::new(),
    }
}

/// Returns what a script says of curl's error.
fn curl(code: i64, says: &str) -> ExecOutput {
    ExecOutput {
        code: 1,
        stdout: format!("curl: ({code}) {says}").into_bytes(),
        stderr: Vec::new(),
    }
}

/// Returns the output of a program that was called with wrong arguments.
fn misused(how: &str) -> ExecOutput {
    ExecOutput {
        code: 2,
        stdout: Vec::new(),
        stderr: how.as_bytes().to_vec(),
    }
}

/// Teaches the fake engine to run every script that steps send to containers.
#[doc(hidden)]
pub fn emulate(docker: &FakeDocker) {
    docker.on_script(INSTALL, install);
    docker.on_script(REMOVE, remove);
    docker.on_script(SWEEP, sweep);
    docker.on_script(ASK, |files, arguments, _| {
        let [_url, _limit] = arguments else {
            return misused("ask takes a URL and a limit");
        };
        match files.read("/kindreg/file") {
            Some(_) => success(),
            None => misused("the CA was not uploaded"),
        }
    });
    docker.on_script(ASK_PORT, |files, arguments, _| {
        let [url, _pin] = arguments else {
            return misused("ask-port takes a URL and a key");
        };
        let local = url.strip_prefix("https://localhost:");
        let port = local.and_then(|rest| rest.split('/').next()?.parse().ok());
        match port.map(|port| files.listener(port)) {
            None => misused("the URL is not on localhost"),
            Some(Listener::Container) => success(),
            Some(Listener::Nobody) => curl(7, "Failed to connect: Couldn't connect to server"),
            Some(Listener::Stranger) => {
                curl(90, "SSL: public key does not match pinned public key")
            }
        }
    });
    docker.on_script(RENAME, rename);
    docker.on_script(REMOVE_PROOF, |files, arguments, _| {
        let [folder] = arguments else {
            return misused("remove-proof takes a folder");
        };
        let store = format!("{folder}/docker/registry/v2");
        let _ = files.remove(&format!("{store}/repositories/kindreg"));
        let _ = files.remove(&format!("{store}/blobs"));
        success()
    });
    docker.on_script("kindreg-delete-manifest", |_, _, _| success());
    docker.on_script(TRY, |_, _, _| success());
    docker.on_script(CHANGED_SINCE_START, |files, _, _| ExecOutput {
        stdout: files.read(CHANGED_FILES).unwrap_or_default(),
        ..success()
    });
    for (name, file, effect) in [
        (HAND_OVER, KUBELET_CONFIG, "restart kubelet"),
        (RECONFIGURE, CONTAINERD_CONFIG, "restart containerd"),
    ] {
        docker.on_script(name, move |files, arguments, input| {
            if arguments != [input.len().to_string()] || files.write(file, 0o600, input).is_err() {
                return misused("the file is incomplete");
            }
            files.effect(effect);
            success()
        });
    }
    docker.on_script(REVOKE, |files, arguments, input| {
        if arguments != [input.len().to_string()] {
            return misused("the file is incomplete");
        }
        if input.is_empty() {
            let _ = files.remove(KUBELET_CONFIG);
        } else if files.write(KUBELET_CONFIG, 0o600, input).is_err() {
            return misused("the file can't be written");
        }
        let _ = files.remove("/var/lib/kindreg/kubelet-config.json");
        success()
    });
    for name in [KEEP_HOSTS, FORGET_HOSTS] {
        docker.on_script(name, move |files, _, _| hosts(files, name));
    }
    docker.on_script(FORGET_FOLDERS, forget_folders);
}

fn forget_folders(files: &mut FakeFiles, arguments: &[String], _: &[u8]) -> ExecOutput {
    let [certs, folders @ ..] = arguments else {
        return misused("forget-folders takes certs.d and folders");
    };
    let mut stays = Vec::new();
    for folder in folders {
        let path = |name: &str| format!("{certs}/{folder}/{name}");
        let hosts = files.read(&path("hosts.toml"));
        if hosts.is_none_or(|text| text.starts_with(WRITTEN_BY_KINDREG.as_bytes())) {
            for name in ["hosts.toml", "ca.crt", "upstream.crt"] {
                let _ = files.remove(&path(name));
            }
        }
        let left = files.list(&path(""));
        if left.is_empty() {
            let _ = files.remove(path("").trim_end_matches('/'));
        }
        stays.extend(left.iter().map(|name| format!("{folder}/{name}\n")));
    }
    ExecOutput {
        stdout: stays.concat().into_bytes(),
        ..success()
    }
}

/// Returns whether a hosts.toml begins with that line.
fn is_of(files: &FakeFiles, hosts: &str, owner: &str) -> bool {
    let text = files.read(hosts).unwrap_or_default();
    text.split(|byte| *byte == b'\n').next() == Some(owner.as_bytes())
}

fn install(files: &mut FakeFiles, arguments: &[String], _: &[u8]) -> ExecOutput {
    let [folder, owner, names @ ..] = arguments else {
        return misused("install takes a folder, an owner and names");
    };
    for name in names {
        let Some(content) = files.read(&format!("/kindreg/{name}")) else {
            return misused("a file was not uploaded");
        };
        let path = format!("{folder}/{name}");
        if name == "hosts.toml" && !files.all(&path).is_empty() && !is_of(files, &path, owner) {
            continue;
        }
        if let Err(error) = files.write(&path, 0o644, content) {
            return misused(&error.to_string());
        }
    }
    success()
}

/// Removes our files from a folder, and returns whether there were some.
fn remove_ours(files: &FakeFiles, folder: &str, owner: &str, ca: &str) -> bool {
    let hosts = format!("{folder}/hosts.toml");
    let removed = is_of(files, &hosts, owner) && files.remove(&hosts);
    files.remove(&format!("{folder}/{ca}")) || removed
}

fn remove_empty(files: &FakeFiles, folder: &str) {
    if files.list(folder).is_empty() {
        let _ = files.remove(folder);
    }
}

fn remove(files: &mut FakeFiles, arguments: &[String], _: &[u8]) -> ExecOutput {
    let [folder, owner, ca, made @ ..] = arguments else {
        return misused("remove takes a folder, an owner and a name");
    };
    let _ = remove_ours(files, folder, owner, ca);
    for folder in made {
        remove_empty(files, folder);
    }
    success()
}

fn sweep(files: &mut FakeFiles, arguments: &[String], _: &[u8]) -> ExecOutput {
    let [certs, ca, owner, made @ ..] = arguments else {
        return misused("sweep takes a folder, a name and an owner");
    };
    for folder in files.list(certs) {
        let folder = format!("{certs}/{folder}");
        if remove_ours(files, &folder, owner, ca) {
            remove_empty(files, &folder);
        }
    }
    for folder in made {
        remove_empty(files, folder);
    }
    success()
}

fn rename(files: &mut FakeFiles, arguments: &[String], _: &[u8]) -> ExecOutput {
    let [folder, name] = arguments else {
        return misused("rename takes a folder and a name");
    };
    let new = format!("{folder}/{name}.new");
    let Some(content) = files.read(&new) else {
        return misused("the new file was not uploaded");
    };
    if files
        .write(&format!("{folder}/{name}"), 0o600, content)
        .is_err()
    {
        return misused("the file can't be written");
    }
    let _ = files.remove(&new);
    success()
}

/// Runs the scripts that add our lines to `/etc/hosts` and remove them.
fn hosts(files: &mut FakeFiles, name: &str) -> ExecOutput {
    let text = |path: &str| {
        let content = files.read(path).unwrap_or_default();
        String::from_utf8_lossy(&content).into_owned()
    };
    let (before, ours) = (text("/etc/hosts"), text("/var/lib/kindreg/hosts"));
    let lines = before.split_inclusive('\n');
    let others: String = lines.filter(|line| !line.contains(" # kindreg:")).collect();
    if files.write("/etc/hosts", 0o644, others + &ours).is_err() {
        return misused("/etc/hosts can't be written");
    }
    if name == FORGET_HOSTS {
        for path in [
            "/var/lib/kindreg/hosts",
            "/var/lib/kindreg/hosts.sh",
            "/etc/systemd/system/containerd.service.d/kindreg-hosts.conf",
        ] {
            let _ = files.remove(path);
        }
    }
    success()
}
