//! Hooks that emulate the commands in the fake's containers.
//!
//! No shell runs: a script is identified by its name (`$0`), any other command by its first word.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::ExecOutput;
use super::view::FakeFiles;

/// Emulates a command. It gets the container's files, the arguments and the standard input.
pub(super) type Hook = Arc<dyn Fn(&mut FakeFiles, &[String], &[u8]) -> ExecOutput + Send + Sync>;

/// The commands that containers can run.
pub(super) struct Commands {
    pub(super) scripts: BTreeMap<String, Hook>,
    pub(super) programs: BTreeMap<String, Hook>,
}

impl Commands {
    /// Returns commands with `contract-echo` only, which prints its input and exits with 7.
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

    /// Returns the hook for a command line, and its arguments.
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

/// Returns whether a container's command line is a script, which exits, rather than a service.
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
