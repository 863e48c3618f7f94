//! Streams in memory, for tests that compare all that a command prints.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Buffers in the place of stdout and stderr, and the answers to questions. Clones share them.
#[derive(Debug, Clone)]
pub struct Captured(Arc<Mutex<Content>>);

#[derive(Debug)]
struct Content {
    stdout: String,
    /// Whether stdout takes nothing, as on a full disk.
    is_full: bool,
    stderr: String,
    answers: Option<VecDeque<String>>,
}

impl Captured {
    /// Creates empty buffers. `None` for answers is a pipe: nobody can be asked.
    #[must_use]
    pub fn new(answers: Option<&[&str]>) -> Self {
        let answers = answers.map(|all| all.iter().map(|one| (*one).to_owned()).collect());
        Self(Arc::new(Mutex::new(Content {
            stdout: String::new(),
            is_full: false,
            stderr: String::new(),
            answers,
        })))
    }

    /// Returns the same buffers with a stdout that takes nothing, as on a full disk.
    #[must_use]
    pub fn full(self) -> Self {
        self.lock().is_full = true;
        self
    }

    /// Returns what was written to stdout and to stderr.
    #[must_use]
    pub fn content(&self) -> (String, String) {
        let content = self.lock();
        (content.stdout.clone(), content.stderr.clone())
    }

    pub(super) fn stdout(&self, text: &str) -> io::Result<()> {
        let mut content = self.lock();
        if content.is_full {
            return Err(rustix::io::Errno::NOSPC.into());
        }
        content.stdout.push_str(text);
        Ok(())
    }

    pub(super) fn stderr(&self, text: &str) {
        self.lock().stderr.push_str(text);
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.lock().answers.is_some()
    }

    /// Returns the next answer, after showing it as a terminal shows what is typed.
    pub(super) fn answer(&self, is_shown: bool) -> Option<String> {
        let mut content = self.lock();
        let answer = content.answers.as_mut()?.pop_front()?;
        if is_shown {
            content.stderr.push_str(&answer);
            content.stderr.push('\n');
        }
        Some(answer)
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
