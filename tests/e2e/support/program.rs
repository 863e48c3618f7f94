//! The program, run as a user would: arguments, environment, what it said, how it ended.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

/// Longest time that one run may take: several times what the slowest takes.
const LIMIT: Duration = Duration::from_secs(420);

/// A run of kindreg that is yet to begin.
#[derive(Debug)]
pub(crate) struct Call {
    command: Command,
    answers: Vec<Answer>,
}

/// What is asked at the terminal, and what is typed then.
type Answer = (String, String);

impl Call {
    /// A call with these arguments, and nothing in the environment.
    pub(crate) fn new(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kindreg"));
        command.env_clear().args(arguments);
        let answers = Vec::new();
        Self { command, answers }
    }

    /// Runs it at a terminal, where these questions get these answers.
    pub(crate) fn at_a_terminal(mut self, answers: &[(&str, &str)]) -> Self {
        let owned = |(question, answer): &(&str, &str)| ((*question).into(), (*answer).into());
        self.answers = answers.iter().map(owned).collect();
        self
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it in another folder.
    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Takes a variable out of the environment.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(self) -> Ended {
        self.start().end()
    }

    /// Starts it.
    #[track_caller]
    pub(crate) fn start(mut self) -> Running {
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let terminal = (!self.answers.is_empty()).then(|| {
            let (ours, theirs) = terminal();
            self.command.stdin(theirs.try_clone().unwrap());
            self.command.stderr(theirs);
            ours
        });
        let mut child = self.command.spawn().expect("kindreg can be run");
        let mut stdout = child.stdout.take().unwrap();
        let (product, stdout_end) = channel();
        spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).ok();
            product.send(text).ok();
        });
        let (lines, conversation) = channel();
        if let Some(terminal) = terminal {
            let answers = std::mem::take(&mut self.answers);
            spawn(move || type_answers(terminal, answers, &lines));
        } else {
            let stderr = child.stderr.take().unwrap();
            spawn(move || {
                let read = BufReader::new(stderr).lines().map_while(Result::ok);
                read.for_each(|line| drop(lines.send(line)));
            });
        }
        let arguments = self.command.get_args().map(OsStr::to_string_lossy);
        let words: Vec<_> = std::iter::once("kindreg".into()).chain(arguments).collect();
        Running {
            line: words.join(" "),
            begun: Instant::now(),
            child,
            product: stdout_end,
            conversation,
            said: Vec::new(),
        }
    }
}

/// A terminal of the system's own making: the end that types, and the program's.
fn terminal() -> (File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = open(name.as_c_str(), flags, Mode::empty()).unwrap();
    (ours.into(), theirs.into())
}

/// Passes on the lines that are shown, and types an answer where its question is.
fn type_answers(mut terminal: File, answers: Vec<Answer>, lines: &Sender<String>) {
    let mut answers = answers.into_iter().peekable();
    let (mut shown, mut asked, mut piece) = (Vec::new(), Vec::new(), [0; 4096]);
    // Once nobody has the other end any more this fails.
    while let Ok(read @ 1..) = terminal.read(&mut piece) {
        shown.extend_from_slice(&piece[..read]);
        asked.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&asked);
        if let Some((_, answer)) = answers.next_if(|(question, _)| text.contains(question)) {
            asked.clear();
            writeln!(terminal, "{answer}").ok();
        }
        while let Some(end) = shown.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = shown.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            lines.send(line.trim_end().to_owned()).ok();
        }
    }
    lines
        .send(String::from_utf8_lossy(&shown).into_owned())
        .ok();
    let unasked: Vec<Answer> = answers.collect();
    if !unasked.is_empty() {
        lines.send(format!("nobody asked: {unasked:?}")).ok();
    }
}

/// A run of kindreg. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Running {
    line: String,
    begun: Instant,
    child: Child,
    product: Receiver<String>,
    conversation: Receiver<String>,
    said: Vec<String>,
}

impl Running {
    /// The next line on stderr; `None` at its end.
    #[track_caller]
    pub(crate) fn next_line(&mut self) -> Option<String> {
        match self.conversation.recv_timeout(LIMIT) {
            Ok(line) => {
                self.said.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("{} said nothing for too long", self.line),
        }
    }

    /// The next event of a run with `--events json`; `None` at the end.
    #[track_caller]
    pub(crate) fn next_event(&mut self) -> Option<Value> {
        let line = self.next_line()?;
        let event = serde_json::from_str(&line);
        Some(event.unwrap_or_else(|error| panic!("{line:?} is no event: {error}")))
    }

    /// Reads events until a step came to something: `("done", "cluster.network")`.
    #[track_caller]
    pub(crate) fn until(&mut self, (what, step): (&str, &str)) {
        while let Some(event) = self.next_event() {
            let id = event["id"].as_str().unwrap_or_default();
            if event["event"] == what && id.starts_with(step) {
                return;
            }
        }
        panic!(
            "it ended before {what:?} of {step:?}:\n{}",
            self.said.join("\n")
        );
    }

    /// Reads lines until one has this text.
    #[track_caller]
    pub(crate) fn until_it_says(&mut self, text: &str) {
        while let Some(line) = self.next_line() {
            if line.contains(text) {
                return;
            }
        }
        panic!("it ended before {text:?}:\n{}", self.said.join("\n"));
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).expect("kindreg is at work");
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let status = self.wait();
        while self.next_line().is_some() {}
        Ended {
            line: self.line.clone(),
            code: status.code(),
            stdout: self
                .product
                .recv_timeout(Duration::from_secs(10))
                .expect("nobody else has kindreg's stdout"),
            stderr: self.said.join("\n"),
            took: self.begun.elapsed(),
        }
    }

    #[track_caller]
    fn wait(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            if self.begun.elapsed() > LIMIT {
                self.child.kill().ok();
                let said: Vec<String> = self.conversation.iter().collect();
                panic!(
                    "{} did not end; it said:\n{}\n{}",
                    self.line,
                    self.said.join("\n"),
                    said.join("\n")
                );
            }
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A run of kindreg that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    line: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ended {
    /// It has to have this exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert!(self.code == Some(code), "not exit code {code}: {self}");
        self
    }

    /// Its product has to have this text.
    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text),
            "not on stdout: {text:?}: {self}"
        );
        self
    }

    /// The conversation has to have this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "not on stderr: {text:?}: {self}"
        );
        self
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            code,
            stdout,
            stderr,
            took,
        } = self;
        write!(
            f,
            "`{line}` ended with {code:?} after {:.1} s\n-- stdout\n{stdout}\n-- stderr\n{stderr}\n--",
            took.as_secs_f64()
        )
    }
}
