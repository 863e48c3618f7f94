//! Command lines on the in-memory machine, and all that they print as one text to compare.

use std::fmt::Write;

use kindreg::fakes::{Answer, Machine};
use kindreg::internal::docker::fake::plain;
use kindreg::internal::docker::{ContainerSpec, Docker};
use regex::Regex;

use crate::snapshot;

/// What changes from run to run, and what stands for it. Nothing else is replaced.
const PLACEHOLDERS: [(&str, &str); 8] = [
    (r"Time: [0-9]+\.[0-9] s.*", "Time: …"),
    (r"\([0-9]+\.[0-9] s\)", "(… s)"),
    (r"\([0-9]+ ms\)", "(… ms)"),
    (r#""seconds":[0-9.e-]+"#, r#""seconds":…"#),
    (r"sha256:[0-9a-f]{64}", "sha256:DIGEST"),
    (
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z",
        "TIME",
    ),
    (
        r"valid until [0-9]{4}-[0-9]{2}-[0-9]{2}",
        "valid until DATE",
    ),
    (r"proof-[0-9a-z]{8,}", "proof-NONCE"),
];

/// A machine and what was typed and printed on it so far.
pub(crate) struct Stage {
    pub(crate) machine: Machine,
    name: &'static str,
    text: String,
}

impl Stage {
    /// A machine with nothing of kindreg's; `name` is the file of the snapshot.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            machine: Machine::new().unwrap(),
            name,
            text: String::new(),
        }
    }

    /// The same, on which a command line was run that the snapshot does not show.
    pub(crate) async fn after(name: &'static str, line: &str) -> Self {
        let stage = Self::new(name);
        let answer = stage.machine.run(&words(line)).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        stage
    }

    /// The same, with a settings file.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.machine.home().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Notes in the snapshot what happened between two command lines.
    pub(crate) fn note(&mut self, what: &str) {
        writeln!(self.text, "# {what}\n").unwrap();
    }

    /// Runs a command line without a terminal.
    pub(crate) async fn run(&mut self, line: &str) -> &mut Self {
        let answer = run(&self.machine, line).await;
        self.keep(line, &answer);
        self
    }

    /// Runs a command line at a terminal.
    pub(crate) async fn run_with_answers(&mut self, line: &str, answers: &[&str]) -> &mut Self {
        let answer = self.machine.run_with_answers(&words(line), answers).await;
        self.keep(line, &answer);
        self
    }

    fn keep(&mut self, line: &str, answer: &Answer) {
        self.text.push_str(&shown(line, answer));
    }

    /// Something else makes a container with that name.
    pub(crate) async fn foreign_container(&self, name: &str, labels: &[(&str, &str)]) {
        let pairs = labels.iter();
        let labels = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let spec = ContainerSpec {
            labels: labels.collect(),
            ..plain(name, "registry:3")
        };
        self.machine.docker().create(&spec).await.unwrap();
    }

    /// Compares everything with the snapshot.
    #[track_caller]
    pub(crate) fn is_as_kept(&self) {
        let home = self.machine.home().display().to_string();
        let version = format!("\"{}\"", env!("CARGO_PKG_VERSION"));
        let text = self.text.replace(&home, "~");
        let mut text = text.replace(&version, "\"VERSION\"");
        for (pattern, placeholder) in PLACEHOLDERS {
            let pattern = Regex::new(pattern).unwrap();
            text = pattern.replace_all(&text, placeholder).into_owned();
        }
        snapshot::same(&format!("snapshots/{}.txt", self.name), &text);
    }
}

/// A command line and its outcome, as snapshots show them.
pub(crate) fn shown(line: &str, answer: &Answer) -> String {
    let Answer {
        code,
        stdout,
        stderr,
    } = answer;
    let mut text = format!("$ {}\n", format!("kindreg {line}").trim_end());
    for (name, stream) in [("stdout", stdout), ("stderr", stderr)] {
        if !stream.is_empty() {
            write!(text, "--- {name}\n{stream}").unwrap();
        }
    }
    writeln!(text, "--- exit code {code}\n").unwrap();
    text
}

/// Runs a command line without a terminal.
pub(crate) async fn run(machine: &Machine, line: &str) -> Answer {
    machine.run(&words(line)).await
}

/// The words of a command line without quotes.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}
