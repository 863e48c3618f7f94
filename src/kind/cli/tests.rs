//! Tests of [`KindCli`], with shell scripts as the kind program.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command as Process;
use std::time::Instant;

use tempfile::TempDir;

use super::output::LAST_LINES;
use super::*;

/// Returns a kind that is this script.
fn kind(script: &str) -> (TempDir, KindCli) {
    let folder = tempfile::tempdir().unwrap();
    let cli = kind_in(folder.path(), script);
    (folder, cli)
}

fn kind_in(folder: &Path, script: &str) -> KindCli {
    let written = folder.join("script");
    std::fs::write(
        &written,
        format!(
            "#!/bin/sh\nexport PATH=/usr/bin:/bin\ncd {}\n{script}",
            folder.display()
        ),
    )
    .unwrap();
    // Another process writes the script: a program that is open for writing can't be run (ETXTBSY), and a process that
    // another test forks inherits the open files of this one.
    let install = Process::new("install")
        .args(["-m", "755"])
        .arg(&written)
        .arg(folder.join("kind"))
        .status();
    assert!(install.unwrap().success());
    symlink("/bin/true", folder.join("docker")).ok();
    std::fs::create_dir_all(folder.join("state")).unwrap();
    let files = ["there", "q/absent", "also"].map(|name| folder.join(name));
    let files = std::env::join_paths(files).unwrap().into_string().unwrap();
    let environment = vec![("KUBECONFIG".to_owned(), files)];
    let found = KindCli::find(
        environment,
        Some(folder.as_os_str()),
        folder.join("state"),
        Proxy::None,
    );
    KindCli {
        grace: Duration::from_millis(300),
        ..found.unwrap()
    }
}

fn within_seconds(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn read_when_there(path: &Path) -> String {
    within_seconds(&format!("{} never came", path.display()), || {
        std::fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n'))
    });
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

fn lives(pid: &str) -> bool {
    // A zombie is dead, even if nobody reaps it.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn both_programs_must_be_on_path() {
    let folder = tempfile::tempdir().unwrap();
    let find = || {
        KindCli::find(
            Vec::new(),
            Some(folder.path().as_os_str()),
            folder.path().join("state"),
            Proxy::None,
        )
    };
    assert!(matches!(
        find(),
        Err(KindError::Missing { program: "kind" })
    ));
    symlink("/bin/true", folder.path().join("kind")).unwrap();
    std::fs::write(folder.path().join("docker"), "not executable").unwrap();
    assert!(matches!(
        find(),
        Err(KindError::Missing { program: "docker" })
    ));
    assert!(matches!(
        KindCli::find(Vec::new(), None, PathBuf::new(), Proxy::None),
        Err(KindError::Missing { .. })
    ));
}

#[tokio::test]
async fn the_version_is_read_and_no_folder_is_made() {
    let (folder, kind) =
        kind("echo \"$@\" >seen; echo a warning >&2; echo kind v0.33.0 go1.26.1 linux/amd64");
    std::fs::remove_dir(folder.path().join("state")).unwrap();
    assert_eq!(kind.version().await.unwrap().to_string(), "0.33.0");
    assert!(!folder.path().join("state").exists());
    let seen = std::fs::read_to_string(folder.path().join("seen")).unwrap();
    assert_eq!(seen, "version\n");
    for (script, why) in [
        (
            "echo a wrapper of kind",
            "can't read the version of kind: it printed \"a wrapper of kind\"",
        ),
        ("true", "it printed \"\""),
        ("echo no >&2; exit 1", "kind version failed: no"),
    ] {
        let (_folder, kind) = self::kind(script);
        let error = kind.version().await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn kind_gets_arguments_network_and_config_and_leaves_no_file() {
    let (folder, kind) = kind("echo \"$@ on $KIND_EXPERIMENTAL_DOCKER_NETWORK\" >seen; cat >>seen");
    std::fs::write(
        folder.path().join("state/c.kind.yaml"),
        "a longer text of an earlier run",
    )
    .unwrap();
    let mut creation = kind.create("c", "net", "nodes: []\n", &[]).await.unwrap();
    creation.finished().await.unwrap();
    let seen = std::fs::read_to_string(folder.path().join("seen")).unwrap();
    assert_eq!(
        seen,
        "create cluster --name c --config - on net\nnodes: []\n"
    );
    assert_eq!(
        std::fs::read_dir(folder.path().join("state"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(kind.orphan("c").await.unwrap(), Orphan::None);
}

#[tokio::test]
async fn a_failure_says_the_last_lines_without_colours() {
    let script = "for i in $(seq 50); do echo line $i; done; printf '\\033[31mERROR\\033[0m: no\\r\\n' >&2; exit 1";
    let (_folder, kind) = kind(script);
    let mut creation = kind.create("c", "net", "", &[]).await.unwrap();
    for _ in 0..2 {
        let KindError::Failed { command, output } = creation.finished().await.unwrap_err() else {
            panic!("not failed")
        };
        assert_eq!(command, "create cluster");
        assert_eq!(output.lines().count(), LAST_LINES);
        assert!(
            output.starts_with("line 12\n") && output.ends_with("line 50\nERROR: no"),
            "{output}"
        );
    }
    assert!(creation.ended());
}

#[tokio::test]
async fn abort_ends_grandchildren_too() {
    // The grandchild ignores SIGTERM, as the docker program may for a while.
    let (folder, kind) =
        kind("sh -c 'trap \"\" TERM; echo $$ >pid; while :; do sleep 1; done' & wait");
    let mut creation = kind.create("c", "net", "", &[]).await.unwrap();
    let grandchild = read_when_there(&folder.path().join("pid"));
    assert!(!creation.ended() && lives(&grandchild));
    assert_eq!(
        kind.orphan("c").await.unwrap(),
        Orphan::None,
        "a creation of this process is not an orphan"
    );
    creation.abort().await;
    assert!(creation.ended());
    within_seconds("the grandchild lives on", || !lives(&grandchild));
    creation.abort().await;
    assert!(creation.finished().await.is_err());
}

#[tokio::test]
async fn abort_waits_for_a_call_to_the_engine() {
    let (folder, mut kind) =
        kind("echo $$ >pid; (trap '' TERM; sleep 0.15; echo made >container) & wait");
    // A busy machine must not make the test fail.
    kind.grace = Duration::from_secs(60);
    let mut creation = kind.create("c", "net", "", &[]).await.unwrap();
    read_when_there(&folder.path().join("pid"));
    creation.abort().await;
    assert!(folder.path().join("container").exists());
}

#[tokio::test]
async fn a_creation_that_is_dropped_leaves_no_process() {
    let (folder, kind) = kind("echo $$ >pid; sleep 1000");
    let creation = kind.create("c", "net", "", &[]).await.unwrap();
    let pid = read_when_there(&folder.path().join("pid"));
    drop(creation);
    within_seconds("kind lives on", || !lives(&pid));
}

#[tokio::test]
async fn what_a_failed_kind_left_running_is_killed() {
    let (folder, kind) = kind("sleep 1000 & echo $! >pid; exit 1");
    let mut creation = kind.create("c", "net", "", &[]).await.unwrap();
    creation.finished().await.unwrap_err();
    let pid = read_when_there(&folder.path().join("pid"));
    within_seconds("the grandchild lives on", || !lives(&pid));
}

const WAITS: &str =
    "cat; echo started >ready; until [ -e go ]; do sleep 0.02; done; echo done; echo finished >end";

/// Not a test: it is the kindreg that the next test kills.
#[tokio::test]
#[ignore = "runs until it is killed"]
async fn a_running_kindreg() {
    let folder = std::env::current_dir().unwrap();
    let mut creation = kind_in(&folder, WAITS)
        .create("c", "net", "config", &[])
        .await
        .unwrap();
    creation.finished().await.unwrap();
}

#[tokio::test]
async fn the_lock_lasts_until_kind_exits_even_if_kindreg_was_killed() {
    let (folder, kind) = kind(WAITS);
    let name = "kind::cli::tests::a_running_kindreg";
    let mut kindreg = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    read_when_there(&folder.path().join("ready"));
    kindreg.kill().unwrap();
    kindreg.wait().unwrap();
    assert_eq!(kind.orphan("c").await.unwrap(), Orphan::Running);
    assert_eq!(kind.orphan("other").await.unwrap(), Orphan::None);
    let KindError::Io { cause, .. } = kind
        .create("c", "net", "other config", &[])
        .await
        .unwrap_err()
    else {
        panic!("another kind was started")
    };
    assert_eq!(cause.kind(), io::ErrorKind::WouldBlock);

    std::fs::write(folder.path().join("go"), "").unwrap();
    read_when_there(&folder.path().join("end"));
    within_seconds("the lock stays", || {
        !Lock::is_held(&kind.lock_path("c")).unwrap()
    });
    assert_eq!(kind.orphan("c").await.unwrap(), Orphan::None);
    kind.delete("c").await.unwrap();
    assert!(!kind.lock_path("c").exists());
}

#[tokio::test]
async fn kind_removes_entries_only_from_files_that_are_there() {
    let (folder, kind) = kind("echo \"$KUBECONFIG\" >seen");
    let seen = || std::fs::read_to_string(folder.path().join("seen")).unwrap();
    kind.delete("c").await.unwrap();
    assert!(
        !Path::new(seen().trim()).parent().unwrap().exists(),
        "{}",
        seen()
    );
    for name in ["there", "also"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    kind.delete("c").await.unwrap();
    let at = folder.path().display();
    assert_eq!(seen(), format!("{at}/there:{at}/also\n"));
}

#[tokio::test]
async fn only_a_creation_needs_a_folder_for_its_state() {
    let (folder, kind) = kind("exit 0");
    std::fs::remove_dir(folder.path().join("state")).unwrap();
    std::fs::write(folder.path().join("state"), "a file").unwrap();
    let found = KindCli::find(
        Vec::new(),
        Some(folder.path().as_os_str()),
        kind.state.clone(),
        Proxy::None,
    );
    let kind = found.unwrap();
    let error = kind.create("c", "net", "config", &[]).await.unwrap_err();
    assert!(matches!(&error, KindError::State { .. }), "{error}");
    kind.delete("c").await.unwrap();
}

#[tokio::test]
async fn nodes_reach_our_registries_without_the_user_s_proxy() {
    let hosts = ["registry.test".to_owned(), "other.test".to_owned()];
    let seen = async |set: &[(&str, &str)]| {
        let (folder, kind) = kind("echo \"$NO_PROXY $no_proxy\" >seen");
        let variable = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        };
        let proxy = Proxy::of(&variable);
        let kind = KindCli { proxy, ..kind };
        let mut creation = kind.create("c", "net", "", &hosts).await.unwrap();
        creation.finished().await.unwrap();
        std::fs::read_to_string(folder.path().join("seen")).unwrap()
    };
    let ours = "registry.test,other.test";
    for (set, exempt) in [
        (&[("HTTP_PROXY", "http://p:1")][..], ours.to_owned()),
        (
            &[("https_proxy", "http://p:1"), ("no_proxy", "a.test")],
            format!("a.test,{ours}"),
        ),
        (
            &[
                ("HTTPS_PROXY", "http://p:1"),
                ("NO_PROXY", "b.test,.lan"),
                ("no_proxy", "a.test"),
            ],
            format!("b.test,.lan,{ours}"),
        ),
    ] {
        assert_eq!(seen(set).await, format!("{exempt} {exempt}\n"), "{set:?}");
    }
    let without = Proxy::of(&|name| (name == "NO_PROXY").then(|| "a.test".to_owned()));
    assert_eq!(without, Proxy::None, "kind then hands out nothing");
    assert!(without.exemptions(&hosts).is_empty());
}

#[tokio::test]
async fn a_delete_that_is_given_up_ends_with_its_children() {
    let (folder, kind) = kind("sleep 1000 & echo $! >child\necho $$ >pid\nwait");
    let pid = folder.path().join("pid");
    let there = async {
        while !pid.exists() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        ended = kind.delete("c") => panic!("{ended:?}"),
        () = there => {}
    }
    for name in ["pid", "child"] {
        let process = read_when_there(&folder.path().join(name));
        within_seconds("it goes on", || !lives(&process));
    }
}
