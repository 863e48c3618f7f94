//! Every command that kindreg prints can be typed as it is printed, and does what the text says.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::Parser;
use kindreg::cli::Cli;
use kindreg::fakes::Machine;
use kindreg::internal::docker::Docker;
use regex::Regex;

use crate::cli::COMMANDS;
use crate::stage::words;

static COMMAND: LazyLock<Regex> = LazyLock::new(|| {
    let commands = COMMANDS.join("|");
    Regex::new(&format!(r"kindreg (?:{commands})(?-u:\b)[^`;,|&()\n]*")).unwrap()
});
static OPEN: LazyLock<Regex> = LazyLock::new(|| Regex::new("[A-Z]{3,}").unwrap());
static CONTINUED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\\\n *").unwrap());
static STRING: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""(?:[^"\\]|\\.)*""#).unwrap());
static FILLED_IN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{[a-z0-9_.]*\}").unwrap());
static IN_BACKTICKS: LazyLock<Regex> = LazyLock::new(|| Regex::new("`[^`]*`").unwrap());

/// The commands of kindreg in a text, without what follows them in the sentence.
fn commands(text: &str) -> Vec<String> {
    let found = COMMAND.find_iter(text).map(|it| it.as_str());
    // In JSON, the text ends with the string.
    let found = found.map(|it| it.split('"').next().unwrap());
    found
        .map(|it| it.trim().trim_end_matches('.').to_owned())
        .collect()
}

/// Why a command can't be typed as it is; `None` if it can.
fn trouble(command: &str, place: &str) -> Option<String> {
    let why = match Cli::try_parse_from(words(command)) {
        Ok(_) if OPEN.is_match(command) => "it leaves something open".to_owned(),
        Err(error) if error.use_stderr() => error.to_string(),
        Ok(_) | Err(_) => return None,
    };
    Some(format!(
        "{place}: {command}: {}",
        why.lines().next().unwrap_or_default()
    ))
}

fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else {
            all.push(path);
        }
    }
}

/// The texts of a source file that are not comments, with values for what is filled in.
fn texts(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let code = CONTINUED.replace_all(&code, "");
    let strings = STRING.find_iter(&code).map(|text| {
        let text = text.as_str().trim_matches('"').replace(r"\n", "\n");
        FILLED_IN.replace_all(&text, "x").replace("CLUSTER", "x")
    });
    strings.collect()
}

#[test]
fn every_command_in_the_source_is_understood() {
    let mut all = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let (mut number, mut wrong) = (0, Vec::new());
    for path in all {
        let place = path.display().to_string();
        for text in texts(&std::fs::read_to_string(&path).unwrap()) {
            // Examples of the help are run by another test.
            if text.contains("Example") {
                continue;
            }
            for command in commands(&text) {
                wrong.extend(trouble(&command, &place));
                number += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(number > 40, "only {number} commands were found");
}

#[test]
fn every_command_of_the_snapshots_is_understood() {
    let mut all = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hermetic/data/snapshots");
    files(&folder, &mut all);
    let (mut number, mut wrong) = (0, Vec::new());
    for path in all {
        // Help is not about a run, and the catalogue of symptoms not about a cluster.
        let name = path.file_stem().unwrap().to_str().unwrap();
        if ["help", "symptoms", "usage"].contains(&name) {
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            if line.starts_with("$ ") || line.starts_with("# ") {
                continue;
            }
            for command in commands(line) {
                wrong.extend(trouble(&command, name));
                number += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(number > 30, "only {number} commands were found");
}

/// Something that happens to the machine before the command line of a case.
type Before = fn(&Machine);

/// What was typed first, what happened then, and the command line whose hints are typed.
const CASES: [(&str, Before, &str); 14] = [
    ("", |_| {}, "status --name x"),
    ("", |_| {}, "verify --name x"),
    ("", |_| {}, "login --name x"),
    ("", |_| {}, "up --name x --no-verify"),
    ("", |_| {}, "up --name x --workers 2"),
    ("", |_| {}, "up --name x --workers many"),
    ("init", |_| {}, "init"),
    ("", |_| {}, "status --config missing.toml"),
    (
        "up --name x --workers 2 --port 5901 --no-auth",
        lose_trust,
        "status --name x",
    ),
    (
        "up --name x --workers 2 --port 5901",
        lose_trust,
        "verify --name x",
    ),
    (
        "up --name x --workers 2",
        |_| {},
        "status --name x --port 5902 --host y.test",
    ),
    ("up --name x --workers 2", |_| {}, "up --name x --workers 3"),
    (
        "up --name x --workers 1 --port 5901",
        lose_node,
        "up --name x",
    ),
    ("up --name x", |_| {}, "login --name x --dry-run"),
];

fn lose_trust(machine: &Machine) {
    let node = machine.docker().files("x-worker");
    assert!(node.remove("/etc/containerd/certs.d/registry.test:5901/hosts.toml"));
}

fn lose_node(machine: &Machine) {
    let docker = machine.docker().clone();
    futures_util::FutureExt::now_or_never(async move { docker.remove("x-worker").await })
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn every_hint_works_where_it_is_printed() {
    for (first, before, line) in CASES {
        let machine = Machine::new().unwrap();
        if !first.is_empty() {
            let answer = machine.run(&words(first)).await;
            assert_eq!(answer.code, 0, "{first}: {answer:?}");
        }
        before(&machine);
        let answer = machine.run(&words(line)).await;
        // Where a text names a command in backticks, it says what that would do.
        let texts = format!("{}\n{}", answer.stdout, answer.stderr);
        let texts = IN_BACKTICKS.replace_all(&texts, "");
        let hints = commands(&texts);
        assert!(!hints.is_empty(), "{line}: {answer:?}");
        for hint in hints {
            let words = words(&hint);
            let typed = machine.run(&words[1..]).await;
            assert_eq!(typed.code, 0, "{first}; {line}; {hint}: {typed:?}");
        }
    }
}

#[tokio::test]
async fn a_repair_that_status_advises_makes_it_ready() {
    let machine = Machine::new().unwrap();
    let first = "up --name x --workers 2 --port 5901 --no-auth --no-host-trust --host y.test";
    assert_eq!(machine.run(&words(first)).await.code, 0);
    let node = machine.docker().files("x-worker");
    assert!(node.remove("/etc/containerd/certs.d/y.test:5901/hosts.toml"));
    for line in [
        "status --name x",
        "status --name x --port=5902 --no-auth=false",
    ] {
        let status = machine.run(&words(line)).await;
        assert_eq!(status.code, 3, "{status:?}");
        let hints = commands(&status.stdout);
        let [hint] = hints.as_slice() else {
            panic!("{hints:?}")
        };
        assert_eq!(machine.run(&words(hint)[1..]).await.code, 0);
        let after = machine.run(&words(line)).await;
        assert_eq!(after.code, 0, "{line}: {after:?}");
    }
}
