//! What is printed: nothing that plays with a terminal, and no success if nobody got it.

use std::fs::File;
use std::process::{Command, Stdio};

use kindreg::fakes::{Machine, printed};
use kindreg::internal::docker::{Docker, Label};

use crate::cli::COMMANDS;
use crate::stage::{Stage, words};

/// What a hostile engine, node or registry would like a terminal to do.
const HOSTILE: &str = "\u{1b}]0;evil\u{7}\u{1b}[8mhidden\r\u{9b}2J\u{7f}\u{202e}";

#[track_caller]
fn is_harmless(text: &str) {
    let bad = |sign: char| (sign.is_control() && sign != '\n') || sign == '\u{202e}';
    assert!(!text.contains(bad), "{text:?}");
}

/// Lines that need no engine, and print something on stdout.
const ALONE: [&str; 9] = [
    "render",
    "render --json",
    "init",
    "init --json other.toml",
    "init --schema",
    "--help",
    "--version",
    "up --help",
    "help down",
];

/// The exit code and stderr of the program with that stdout.
fn run(line: &str, stdout: Stdio) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kindreg"))
        .args(words(line))
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .stdout(stdout)
        .output();
    let output = output.unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_product_that_nobody_got_is_a_failure() {
    for line in ALONE {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (code, stderr) = run(line, full.into());
        assert_eq!(code, Some(1), "{line}: {stderr}");
        assert!(
            stderr.contains("can't write to stdout: No space left"),
            "{line}: {stderr}"
        );

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (code, stderr) = run(line, writer.into());
        assert_eq!(code, Some(1), "{line}: {stderr}");
        assert!(
            stderr.contains("can't write to stdout: Broken pipe"),
            "{line}: {stderr}"
        );

        let (code, stderr) = run(line, Stdio::null());
        assert_eq!(code, Some(0), "{line}: {stderr}");
    }
    let (code, stderr) = run("init --force /dev/full", Stdio::null());
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("can't write /dev/full"), "{stderr}");
}

#[tokio::test]
async fn every_command_fails_if_its_product_can_t_be_printed() {
    let machine = Machine::new().unwrap();
    // Each is run twice: with a stdout that takes nothing, and again, as its effect is there.
    for line in [
        "up",
        "up --json",
        "up --dry-run",
        "status",
        "status --json",
        "list",
        "list --json",
        "verify",
        "login",
        "login --json",
        "logout",
        "secret --dry-run",
        "secret --namespace default",
        "env",
        "env --json",
        "render",
        "init new.toml",
        "down --dry-run",
        "down",
    ] {
        let answer = machine.run_without_stdout(&words(line)).await;
        assert_eq!(answer.code, 1, "{line}: {answer:?}");
        let what = "error: can't write to stdout: No space left on device (os error 28)\n  hint: make room";
        assert!(answer.stderr.contains(what), "{line}: {answer:?}");
    }
    let ours = Label::Key("dev.kindreg.cluster");
    assert!(machine.docker().containers(ours).await.unwrap().is_empty());
    // Other failures keep their code, and every command is above.
    let answer = machine.run_without_stdout(&["verify"]).await;
    assert_eq!(answer.code, 3, "{answer:?}");
    assert_eq!(COMMANDS.len(), 11);
}

#[test]
fn an_error_that_others_wrote_does_not_reach_the_terminal_raw() {
    let error = anyhow::anyhow!("{HOSTILE}").context(format!("first\n{HOSTILE}"));
    is_harmless(&printed(&error, false));
    let json = printed(&error, true);
    is_harmless(&json);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["causes"][0], HOSTILE);
}

#[tokio::test]
async fn nothing_that_others_wrote_reaches_the_terminal_raw() {
    for flags in ["", " --json", " --events json", " -vvv"] {
        let mut stage = Stage::new("unused");
        stage.machine.kind().fail_next(HOSTILE);
        let answer = stage.machine.run(&words(&format!("up{flags}"))).await;
        assert_eq!(answer.code, 1, "{answer:?}");
        assert!(answer.stderr.contains("hidden"), "{answer:?}");
        is_harmless(&answer.stderr);
        let kube = stage.machine.kube("kindreg-control-plane");
        kube.pod_fails("kindreg-control-plane", "ErrImagePull", HOSTILE);
        let answer = stage.machine.run(&words(&format!("up{flags}"))).await;
        assert_ne!(answer.code, 0, "{answer:?}");
        is_harmless(&answer.stderr);
        // A record that somebody else wrote.
        let record = format!("{{\"version\": {}}}", serde_json::Value::from(HOSTILE));
        let labels = [
            ("dev.kindreg.cluster", "old"),
            ("dev.kindreg.mode", "owned"),
            ("dev.kindreg.record", &*record),
        ];
        stage.foreign_container("kindreg-old", &labels).await;
        for command in ["list", "status --name old", "down --name old"] {
            let answer = stage
                .machine
                .run(&words(&format!("{command}{flags}")))
                .await;
            is_harmless(&answer.stderr);
            is_harmless(&answer.stdout);
        }
        // And a file.
        let file = format!("[cluster]\nname = {}\n", toml::Value::from(HOSTILE));
        stage = stage.file("kindreg.toml", &file);
        let answer = stage.machine.run(&words(&format!("up{flags}"))).await;
        assert_eq!(answer.code, 2, "{answer:?}");
        is_harmless(&answer.stderr);
    }
}

#[tokio::test]
async fn a_question_shows_what_controls_a_terminal() {
    // As YAML writes it.
    let path = r#""/\x1b[8mhidden\x9b2J\u202e""#;
    let kind = format!(
        "nodes: [{{role: control-plane, extraMounts: [{{hostPath: {path}, containerPath: /x}}]}}]\n"
    );
    let stage = Stage::new("unused")
        .file("kindreg.toml", "[cluster]\nkind_config = \"kind.yaml\"\n")
        .file("kind.yaml", &kind);
    let answer = stage.machine.run_with_answers(&["up"], &["n"]).await;
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(answer.stderr.contains("hidden"), "{answer:?}");
    is_harmless(&answer.stderr);
}

/// Command lines that print what was asked for, and those that only say what they did.
const PRODUCTS: [&str; 10] = [
    "up --dry-run",
    "up --json",
    "status",
    "list",
    "verify",
    "env",
    "secret --dry-run",
    "login --rotate --dry-run",
    "render",
    "init --schema",
];
const DEEDS: [&str; 12] = [
    "init other.toml",
    "up --workers 1",
    "up --port 5002",
    "up",
    "login",
    "login --rotate",
    "secret",
    "logout",
    "down --dry-run --name other",
    "down",
    "down",
    "list",
];

#[tokio::test]
async fn quiet_is_nothing_but_errors_and_what_was_asked_for() {
    let machine = Machine::new().unwrap();
    for events in ["", "--events json"] {
        assert_eq!(machine.run(&["up"]).await.code, 0);
        for line in PRODUCTS {
            let line = format!("{line} -q {events}");
            let answer = machine.run(&words(&line)).await;
            assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{line}");
            assert_ne!(answer.stdout, "", "{line}");
        }
        for line in DEEDS
            .iter()
            .filter(|line| **line != "init other.toml" || events.is_empty())
        {
            // A node can't be added.
            if *line == "up --workers 1" {
                assert_eq!(machine.run(&["down"]).await.code, 0);
            }
            let line = format!("{line} -q {events}");
            let answer = machine.run(&words(&line)).await;
            let said = (answer.code, answer.stdout.as_str(), answer.stderr.as_str());
            assert_eq!(said, (0, "", ""), "{line}");
        }
        let failed = machine.run(&words(&format!("status -q {events}"))).await;
        assert_eq!((failed.code, failed.stdout.as_str()), (3, ""));
        let error = if events.is_empty() {
            "error: "
        } else {
            "{\"event\":\"error\""
        };
        assert!(failed.stderr.starts_with(error), "{failed:?}");
    }
}

#[tokio::test]
async fn an_up_ends_with_four_lines_at_most() {
    let machine = Machine::new().unwrap();
    let first = machine.run(&["up", "--workers", "2"]).await.stdout;
    let lines: Vec<&str> = first.lines().collect();
    let [ready, time, registry, cluster] = lines.as_slice() else {
        panic!("{first}")
    };
    assert!(
        ready.starts_with("Ready: ") && time.starts_with("Time: "),
        "{first}"
    );
    assert!(
        registry.starts_with("Registry: push to localhost:5001, "),
        "{first}"
    );
    assert!(cluster.contains("--context kind-kindreg"), "{first}");
    assert!(lines.iter().all(|line| line.len() <= 120), "{first}");
    let again = machine.run(&["up"]).await.stdout;
    assert_eq!(again.lines().count(), 2, "{again}");
}
