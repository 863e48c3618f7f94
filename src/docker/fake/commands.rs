//! Commands in the fake's containers, emulated by hooks.
//!
//! No shell runs: a script is known by the name it is given as `$0`, any other command by its first word.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::ExecOutput;
use super::view::FakeFiles;

/// Emulates a command: the container's files, the arguments, standard input.
pub(super) type Hook = Arc<dyn Fn(&mut FakeFiles, &[String], &[u8]) -> ExecOutput + Send + Sync>;

/// What the containers can run.
pub(super) struct Commands {
    pub(super) scripts: BTreeMap<String, Hook>,
    pub(super) programs: BTreeMap<String, Hook>,
}

impl Commands {
    /// `contract-echo` alone: standard output is the input, exit code 7.
    pub(super) fn new() -> Self {
        let echo: Hook = Arc::new(|_, _, input| ExecOutput {
            code: 7,
            stdout: input.to_vec(),
            stderr: Vec::new(),
        });
        Self {
            scripts: BTreeMap::from([("contract-echo".to_owned(), echo)]),
            programs: BTreeMap::new(),
        }
    }

    /// Who runs this command line, and with which arguments.
    pub(super) fn find(&self, argv: &[String]) -> (Hook, Vec<String>) {
        let (hook, name, arguments) = match argv {
            [shell, flag, _script, name, arguments @ ..] if shell == "sh" && flag == "-c" => {
                (self.scripts.get(name), name.as_str(), arguments)
            }
            [program, arguments @ ..] => (self.programs.get(program), program.as_str(), arguments),
            [] => (None, "", argv),
        };
        (
            hook.cloned().unwrap_or_else(|| unknown(name)),
            arguments.to_vec(),
        )
    }
}

/// Whether a container's command line is a script, which ends, and not a service, which stays.
pub(super) fn is_script(argv: &[String]) -> bool {
    matches!(argv, [shell, flag, ..] if shell == "sh" && flag == "-c")
}

fn unknown(name: &str) -> Hook {
    let stderr = format!(
        "the fake engine knows no command {name:?}: give it one with on_script or on_exec\n"
    );
    Arc::new(move |_, _, _| ExecOutput {
        code: 127,
        stdout: Vec::new(),
        stderr: stderr.clone().into_bytes(),
    })
}
