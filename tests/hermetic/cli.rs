//! The program as it is typed: help, mistakes, and what works without an engine.

use std::fmt::Write;

use assert_cmd::Command;

/// A run of the program that sees nothing of this machine: an empty folder, no variables, no engine.
pub(crate) struct Run {
    command: Command,
    pub(crate) folder: tempfile::TempDir,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn kindreg(arguments: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kindreg"));
    command
        .args(arguments)
        .current_dir(folder.path())
        .env_clear();
    command.env("HOME", folder.path()).env("PATH", "/nowhere");
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    Run { command, folder }
}

impl Run {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn within(mut self, folder: &str) -> Self {
        let folder = self.folder.path().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        self.command.current_dir(folder);
        self
    }

    pub(crate) fn run(mut self) -> Answer {
        let output = self.command.output().unwrap();
        Answer {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub(crate) const COMMANDS: [&str; 11] = [
    "up", "down", "status", "list", "init", "render", "verify", "login", "logout", "secret", "env",
];

#[test]
fn every_command_s_help_has_examples_that_are_its_own() {
    let help = kindreg(&["--help"]).run().stdout;
    assert!(help.contains("Exit codes:\n  0    done\n"), "{help}");
    for command in COMMANDS {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command} is listed"
        );
        let answer = kindreg(&[command, "--help"]).run();
        assert_eq!(answer.code, 0, "{answer:?}");
        let examples = answer
            .stdout
            .split_once("Example")
            .map_or("", |(_, examples)| examples);
        assert!(
            examples.contains(&format!("\n  kindreg {command}")),
            "{command}: {}",
            answer.stdout
        );
    }
}

#[test]
fn examples_of_the_help_are_taken() {
    for command in COMMANDS {
        let help = kindreg(&[command, "--help"]).run().stdout;
        let examples = help.split_once("Example").unwrap().1;
        for line in examples
            .lines()
            .filter_map(|line| line.strip_prefix("  kindreg "))
        {
            let words: Vec<&str> = line
                .split_whitespace()
                .take_while(|word| !["|", "&", ">"].iter().any(|sign| word.starts_with(sign)))
                .collect();
            let answer = kindreg(&words).file("deploy/kindreg.toml", "").run();
            // There is no engine for the others; what was asked has been understood before that is found out.
            let wanted = i32::from(!["render", "init"].contains(&command));
            assert_eq!(answer.code, wanted, "{line}: {answer:?}");
        }
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let answer = kindreg(&["--version"]).run();
    assert_eq!(
        answer.stdout,
        format!("kindreg {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn all_mistakes_come_at_once_whatever_their_way() {
    let answer = kindreg(&["up", "--host", "A", "--workers", "x", "--name", "B"])
        .env("KINDREG_PORT", "0")
        .file("kindreg.toml", "[cluster]\nworker = 1\nimage = 3\n")
        .run();
    assert_eq!((answer.code, answer.stdout.as_str()), (2, ""));
    for at in [
        "6 mistakes",
        "kindreg.toml:2:1: unknown key `worker`",
        "kindreg.toml:3:9: ",
        "--host: ",
        "--workers: ",
        "--name: ",
        "KINDREG_PORT: ",
        "hint: ",
    ] {
        assert!(answer.stderr.contains(at), "{at}: {}", answer.stderr);
    }
}

#[test]
fn without_an_engine_it_fails_with_a_hint() {
    for command in COMMANDS {
        if ["init", "render"].contains(&command) {
            continue;
        }
        let arguments = match command {
            "secret" => vec!["secret", "--all-namespaces"],
            command => vec![command],
        };
        let answer = kindreg(&arguments).run();
        assert_eq!(
            (answer.code, answer.stdout.as_str()),
            (1, ""),
            "{command}: {answer:?}"
        );
        assert!(
            answer.stderr.contains("unix:///nowhere/docker.sock"),
            "{answer:?}"
        );
        assert!(answer.stderr.contains("hint: "), "{answer:?}");
    }
    let answer = kindreg(&["up", "--docker-host", "tcp://127.0.0.1:9"]).run();
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.stderr.contains("127.0.0.1:9"), "{answer:?}");
}

/// The cluster that a run with `--json` was about.
pub(crate) fn cluster(answer: &Answer) -> String {
    assert_eq!(answer.code, 0, "{answer:?}");
    let product: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    product["cluster"].as_str().unwrap().to_owned()
}

#[test]
fn init_writes_a_file_once_and_render_takes_it() {
    let run = kindreg(&["init"]);
    let file = run.folder.path().join("kindreg.toml");
    let (mut again, mut force) = (kindreg(&["init"]), kindreg(&["init", "--force"]));
    let mut render = kindreg(&["render", "--json"]);
    for other in [&mut again, &mut force, &mut render] {
        other.command.current_dir(run.folder.path());
    }
    let keep = tempfile::tempdir().unwrap();
    let template = include_str!("../../templates/kindreg.toml");
    let Run {
        mut command,
        folder,
    } = run;
    assert!(command.output().unwrap().status.success());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), template);
    assert_eq!(cluster(&render.run()), "kindreg");

    std::fs::write(&file, "mine").unwrap();
    let answer = again.run();
    assert!(
        answer.code == 2
            && answer
                .stderr
                .starts_with("error: kindreg.toml already exists\n"),
        "{answer:?}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(force.run().code, 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), template);
    drop((folder, keep));
}

#[test]
fn init_works_beside_a_wrong_file_and_prints_the_schema() {
    let wrong = |arguments: &[&str]| kindreg(arguments).file("kindreg.toml", "nonsense");
    assert_eq!(wrong(&["init", "other.toml"]).run().code, 0);
    let answer = wrong(&["init", "--schema"]).run();
    let schema: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(wrong(&["init", "--schema", "--force"]).run().code, 2);
    assert_eq!(wrong(&["init", "no/such/folder.toml"]).run().code, 1);
}

#[test]
fn render_says_everything_in_the_same_order_each_time() {
    let file = include_str!("data/two.toml");
    let run = |arguments: &[&str]| {
        let call = kindreg(arguments).file("kindreg.toml", file);
        call.file("company.pem", crate::config::COMPANY).run()
    };
    let text = run(&["render"]).stdout;
    crate::snapshot::same("render.txt", &text);
    let json: serde_json::Value = serde_json::from_str(&run(&["render", "--json"]).stdout).unwrap();
    let texts = json["texts"].as_array().unwrap();
    let mut shown = String::new();
    for it in texts {
        let field = |key: &str| it[key].as_str().unwrap();
        let (name, to, text) = (field("name"), field("to"), field("text"));
        writeln!(shown, "===== {name} -> {to}\n{}\n", text.trim_end()).unwrap();
    }
    assert_eq!(shown, text);
}
