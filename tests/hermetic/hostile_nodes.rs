//! What a node or a registry may have put into the folders that kindreg reads: `down` gives everything back all the
//! same, `up` and `status` say what can't be read, and nothing is written outside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kindreg::fakes::Machine;

use crate::stage::words;

/// The folders and files that kindreg reads in a node and in a registry's container.
const READ: [(&str, &str); 6] = [
    ("kindreg-worker", "/etc/containerd"),
    ("kindreg-worker", "/var/lib/kindreg"),
    ("kindreg-control-plane", "/var/lib/kindreg"),
    ("kindreg-worker", "/var/lib/kubelet/config.json"),
    ("kindreg-worker", "/var/lib/kindreg/kubelet-config.json"),
    ("kindreg-registry", "/kindreg/secret"),
];

/// An entry whose name is written as it is, below the folder that was asked for.
fn entry(folder: &str, name: &[u8], kind: tar::EntryType, content: &[u8]) -> Vec<u8> {
    let base = Path::new(folder).file_name().unwrap().to_str().unwrap();
    let name = [base.as_bytes(), b"/", name].concat();
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(&name);
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header, content).unwrap();
    tar.into_inner().unwrap()
}

/// What a hostile container may answer with, and whether it can be read at all.
fn hostile(folder: &str) -> [(&'static str, Vec<u8>, bool); 8] {
    let regular = tar::EntryType::Regular;
    let whole = entry(folder, b"a", regular, &[b'x'; 5000]);
    let mut lying = entry(folder, b"a", regular, b"x");
    let mut header = tar::Header::from_byte_slice(&lying[..512]).clone();
    header.set_size(u64::MAX / 2);
    header.set_cksum();
    lying[..512].copy_from_slice(header.as_bytes());
    [
        (
            "a name that is no UTF-8",
            entry(folder, b"\xff\xfe", regular, b"x"),
            false,
        ),
        (
            "a path that leads out",
            entry(folder, b"../../../x", regular, b"x"),
            false,
        ),
        (
            "16 MiB",
            entry(folder, b"a", regular, &vec![b'x'; 16 << 20]),
            false,
        ),
        ("a size that is a lie", lying, false),
        ("an archive cut short", whole[..1000].to_vec(), false),
        ("no archive", vec![b'x'; 4096], false),
        (
            "a device",
            entry(folder, b"a", tar::EntryType::Char, b""),
            true,
        ),
        (
            "a link",
            entry(folder, b"ca.crt", tar::EntryType::Symlink, b""),
            true,
        ),
    ]
}

/// Every file below a folder, with its content.
fn below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(below(&path));
        } else {
            all.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    all
}

#[tokio::test]
async fn down_gives_everything_back_whatever_a_container_has_in_its_folders() {
    for (container, folder) in READ {
        for (what, archive, _) in hostile(folder) {
            let case = format!("{what} in {folder} of {container}");
            let machine = Machine::new().unwrap();
            let (host, home) = (machine.docker().host().all("/"), below(machine.home()));
            let up = machine.run(&words("up --workers 1")).await;
            assert_eq!(up.code, 0, "{up:?}");
            machine.docker().serve_archive(container, folder, archive);
            let down = machine.run(&words("down")).await;
            assert_eq!(down.code, 0, "{case}: {down:?}");
            let left = machine.run(&words("list --json")).await;
            assert_eq!(left.stdout.trim(), "[]", "{case}");
            assert_eq!(machine.docker().host().all("/"), host, "{case}");
            assert_eq!(below(machine.home()), home, "{case}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_never_called_ready() {
    let machine = Machine::new().unwrap();
    assert_eq!(machine.run(&words("up --workers 1")).await.code, 0);
    let (node, folder) = ("kindreg-worker", "/etc/containerd");
    for (what, archive, readable) in hostile(folder) {
        machine.docker().serve_archive(node, folder, archive);
        for command in ["status", "up --workers 1"] {
            let answer = machine.run(&words(command)).await;
            if readable {
                // It has none of our files, which is all that is told of it.
                let missing = answer.stdout.contains("missing on kindreg-worker");
                assert!(missing || command != "status", "{what}: {answer:?}");
                continue;
            }
            assert_ne!(answer.code, 0, "{command} with {what}: {answer:?}");
            let named = format!("can't read {folder} in container {node}");
            assert!(
                answer.stderr.contains(&named),
                "{command} with {what}: {answer:?}"
            );
            let hint = format!("docker cp {node}:{folder} - | tar -tv");
            assert!(
                answer.stderr.contains(&hint),
                "{command} with {what}: {answer:?}"
            );
        }
    }
}
