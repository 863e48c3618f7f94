//! The engine's host and `localhost:port`: whether docker verifies TLS there is tried, and said.

use kindreg::fakes::{Answer, Machine};
use kindreg::internal::docker::{Docker, EngineInfo, ImageStore};
use serde_json::Value;

use crate::stage::{self, words};

/// The folder of the registry's name on the engine's host.
const FOLDER: &str = "/etc/docker/certs.d/localhost:5001";
/// A hosts.toml of somebody else.
const THEIRS: &str = "server = \"https://localhost:5001\"\n";

async fn run(machine: &Machine, line: &str) -> Answer {
    let answer = stage::run(machine, line).await;
    assert_eq!(answer.code, 0, "{line}: {answer:?}");
    answer
}

/// Returns the result for the engine's host and its reason, as `up --json` says them.
async fn up(machine: &Machine, flags: &str) -> (bool, String, String) {
    let answer = run(machine, &format!("up --json {flags}")).await;
    let report: Value = serde_json::from_str(&answer.stdout).unwrap();
    let text = |key: &str| report["proof"][key].as_str().unwrap_or_default().to_owned();
    (
        report["changed"].as_bool().unwrap(),
        text("host"),
        text("hostWhy"),
    )
}

/// Returns the warnings of `status --json`.
async fn warnings(machine: &Machine) -> String {
    let answer = run(machine, "status --json").await;
    let report: Value = serde_json::from_str(&answer.stdout).unwrap();
    report["warnings"].to_string()
}

async fn set(machine: &Machine, change: impl Fn(&mut EngineInfo)) {
    let mut info = machine.docker().info().await.unwrap();
    change(&mut info);
    machine.docker().set_info(info);
}

fn pushes(machine: &Machine) -> usize {
    let journal = machine.docker().call_log();
    journal
        .iter()
        .filter(|call| call.starts_with("push "))
        .count()
}

#[tokio::test]
async fn an_engine_that_refuses_before_it_has_the_ca_is_proven_once() {
    let machine = Machine::new().unwrap();
    let host = machine.docker().host();
    let before = host.all("/");
    assert_eq!(
        up(&machine, "").await,
        (true, "proven".to_owned(), String::new())
    );
    assert_eq!(pushes(&machine), 2, "one without the CA, and one with it");
    assert_eq!(host.list(FOLDER), ["hosts.toml", "kindreg-kindreg.crt"]);
    let hosts = String::from_utf8(host.read(&format!("{FOLDER}/hosts.toml")).unwrap()).unwrap();
    assert!(
        hosts.starts_with("# Written by kindreg for cluster kindreg.\n"),
        "{hosts}"
    );
    assert_eq!(
        hosts.matches("ca = \"kindreg-kindreg.crt\"").count(),
        2,
        "{hosts}"
    );
    assert_eq!(
        up(&machine, "").await,
        (false, "proven".to_owned(), String::new())
    );
    let verified = run(&machine, "verify").await;
    assert!(
        verified
            .stdout
            .contains("proven      the engine's host pushes"),
        "{verified:?}"
    );
    assert_eq!(warnings(&machine).await, "[]");
    run(&machine, "down").await;
    assert_eq!(host.all("/"), before);
}

#[tokio::test]
async fn an_engine_that_verifies_nothing_is_not_proven_and_keeps_no_image() {
    for flags in ["", "--no-auth"] {
        let machine = Machine::new().unwrap();
        set(&machine, |info| {
            info.image_store = ImageStore::Classic;
            info.version = "20.10.24+dfsg1".to_owned();
        })
        .await;
        let (_, host, why) = up(&machine, flags).await;
        assert_eq!(host, "not proven");
        for part in [
            "localhost:5001",
            "20.10.24+dfsg1 with its own image store",
            "does not verify TLS on loopback",
        ] {
            assert!(why.contains(part), "{why}");
        }
        let again = up(&machine, flags).await;
        assert_eq!(
            again,
            (false, host, why.clone()),
            "what is known is not tried again"
        );
        let proof = "localhost:5001/kindreg/proof:kindreg";
        assert_eq!(machine.docker().image(proof).await.unwrap(), None);
        assert!(warnings(&machine).await.contains("CVE-2026-92543"));
        let verified = run(&machine, "verify").await;
        assert!(
            verified
                .stdout
                .contains(&format!("not proven  the engine's host: {why}")),
            "{verified:?}"
        );
    }
}

#[tokio::test]
async fn an_engine_that_has_changed_is_proven_again() {
    let machine = Machine::new().unwrap();
    up(&machine, "").await;
    set(&machine, |info| {
        info.insecure_registries.push("10.0.0.0/8".to_owned());
    })
    .await;
    let status = machine.run(&words("status")).await;
    assert_eq!(status.code, 3, "{status:?}");
    let verified = run(&machine, "verify --json").await;
    assert!(
        verified.stdout.contains("\"host\":\"not proven\""),
        "{verified:?}"
    );
    let before = pushes(&machine);
    assert_eq!(
        up(&machine, "").await,
        (true, "proven".to_owned(), String::new())
    );
    assert_eq!(
        pushes(&machine),
        before + 1,
        "nodes are proven, and need no image"
    );
    assert!(!up(&machine, "").await.0);
}

#[tokio::test]
async fn settings_of_somebody_else_stay_and_are_named() {
    for theirs in [
        format!("{FOLDER}/hosts.toml"),
        "/etc/docker/certs.d/localhost_5001_/ca.crt".to_owned(),
    ] {
        let machine = Machine::new().unwrap();
        let host = machine.docker().host();
        host.write(&theirs, 0o640, THEIRS).unwrap();
        let before = host.all("/");
        let first = machine.run(&words("up")).await;
        if theirs.starts_with(FOLDER) {
            // Theirs has no CA, so docker refuses the push.
            assert_eq!(first.code, 3, "{first:?}");
            let hint = format!(
                "docker obeys {theirs} on the engine's host, which is not kindreg's; remove it"
            );
            assert!(first.stderr.contains(&hint), "{first:?}");
            assert_eq!(host.all("/"), before);
            host.write(&theirs, 0o640, THEIRS.replace("server", "# server"))
                .unwrap();
            continue;
        }
        assert_eq!(first.code, 0, "{first:?}");
        let named = "/etc/docker/certs.d/localhost_5001_ on the engine's host is not kindreg's, and docker obeys it";
        assert!(first.stderr.contains(named), "{first:?}");
        assert!(warnings(&machine).await.contains(named));
        let (changed, proof, why) = up(&machine, "").await;
        assert!(
            !changed && proof == "not proven" && why.starts_with(named),
            "{why}"
        );
        assert!(host.remove("/etc/docker/certs.d/localhost_5001_"));
        assert_eq!(up(&machine, "").await.1, "proven", "once it is gone");
        host.write(&theirs, 0o640, THEIRS).unwrap();
        run(&machine, "down").await;
        assert_eq!(host.all("/"), before);
    }
}

#[tokio::test]
async fn what_a_kill_before_the_ca_leaves_is_repaired_and_removed() {
    for then in ["up", "down"] {
        let machine = Machine::new().unwrap();
        let host = machine.docker().host();
        let before = host.all("/");
        up(&machine, "").await;
        let whole = host.all(FOLDER);
        let file = format!("{FOLDER}/hosts.toml");
        let text = String::from_utf8(host.read(&file).unwrap()).unwrap();
        let without_ca = |line: &&str| !line.contains("ca =");
        let killed: String = text.split_inclusive('\n').filter(without_ca).collect();
        host.write(&file, 0o644, killed).unwrap();
        assert!(host.remove(&format!("{FOLDER}/kindreg-kindreg.crt")));
        let status = machine.run(&words("status")).await;
        assert!(
            status.code == 3 && status.stdout.contains("kindreg-kindreg.crt is missing"),
            "{status:?}"
        );
        run(&machine, then).await;
        if then == "up" {
            assert_eq!(host.all(FOLDER), whole);
        } else {
            assert_eq!(host.all("/"), before);
        }
    }
}

#[tokio::test]
async fn a_changed_file_is_repaired_and_files_of_others_stay() {
    let machine = Machine::new().unwrap();
    let host = machine.docker().host();
    host.write(&format!("{FOLDER}/other.crt"), 0o600, "theirs")
        .unwrap();
    let before = host.all("/");
    up(&machine, "").await;
    let whole = host.all(FOLDER);
    let file = format!("{FOLDER}/hosts.toml");
    let text = String::from_utf8(host.read(&file).unwrap()).unwrap();
    for broken in [
        None,
        Some(text.replace("ca = ", "# ca = ")),
        Some(format!("{text}\n  skip_verify = true\n")),
    ] {
        match &broken {
            Some(broken) => host.write(&file, 0o644, broken.clone()).unwrap(),
            None => assert!(host.remove(&file)),
        }
        assert_eq!(machine.run(&words("status")).await.code, 3, "{broken:?}");
        run(&machine, "up").await;
        assert_eq!(host.all(FOLDER), whole, "{broken:?}");
    }
    run(&machine, "down").await;
    assert_eq!(host.all("/"), before);
}

#[tokio::test]
async fn without_host_trust_or_proof_nothing_is_claimed() {
    let machine = Machine::new().unwrap();
    let (_, host, why) = up(&machine, "--no-host-trust").await;
    assert_eq!(host, "not proven");
    assert!(why.contains("--no-host-trust"), "{why}");
    assert!(machine.docker().host().list("/etc/docker").is_empty());
    let machine = Machine::new().unwrap();
    let (_, host, why) = up(&machine, "--no-verify").await;
    assert_eq!(
        (host.as_str(), why.as_str()),
        ("not proven", "nothing was proven (--no-verify)")
    );
    assert_eq!(up(&machine, "").await.1, "proven");
}

#[tokio::test]
async fn down_without_a_record_removes_the_hosts_file_too() {
    let machine = Machine::new().unwrap();
    let host = machine.docker().host();
    up(&machine, "").await;
    host.write("/etc/docker/certs.d/theirs:1/hosts.toml", 0o644, THEIRS)
        .unwrap();
    machine.docker().prune_system();
    for container in ["kindreg-kindreg-registry", "kindreg-control-plane"] {
        machine.docker().remove(container).await.unwrap();
    }
    run(&machine, "down").await;
    let left = host.all("/etc/docker/certs.d");
    assert!(left.keys().all(|path| !path.contains("5001")), "{left:?}");
    assert!(
        host.read("/etc/docker/certs.d/theirs:1/hosts.toml")
            .is_some()
    );
}
