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
