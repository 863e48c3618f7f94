//! Asks questions, only on a terminal. A typed password is not shown.

use std::io::IsTerminal;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::Printer;
use super::clean::clean;
use super::printer::Streams;

impl Printer {
    /// Asks a yes-or-no question. Without a terminal, and for anything but `y` or `yes`, the answer is no.
    #[must_use]
    pub fn ask(&self, question: &str) -> bool {
        if !self.is_terminal() {
            return false;
        }
        self.stderr(&format!("{} [y/N] ", clean(question)));
        let answer = match &self.streams {
            Streams::Process => typed_line(),
            #[cfg(feature = "fakes")]
            Streams::Captured(captured) => captured.answer(true),
        };
        answer.is_some_and(|answer| matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for the user name and password of a registry. Returns `None` without a terminal, for an empty answer, and
    /// after `stop`.
    pub async fn ask_credentials(
        &self,
        domain: &str,
        stop: &CancellationToken,
    ) -> Option<(String, SecretString)> {
        if !self.is_terminal() {
            return None;
        }
        let user = format!("User name for {domain}: ");
        let user = self.line(&user, true, stop).await?;
        let password = format!("Password for {user} at {domain}: ");
        let password = self.line(&password, false, stop).await;
        // The typed end of line was not shown either.
        self.stderr("\n");
        Some((user, password?.into()))
    }

    /// Returns whether somebody can be asked.
    fn is_terminal(&self) -> bool {
        match &self.streams {
            Streams::Process => std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
            #[cfg(feature = "fakes")]
            Streams::Captured(captured) => captured.is_terminal(),
        }
    }

    /// Reads a typed line; `None` if it is empty.
    async fn line(
        &self,
        question: &str,
        is_shown: bool,
        stop: &CancellationToken,
    ) -> Option<String> {
        let is_process = matches!(self.streams, Streams::Process);
        let _hidden = (is_process && !is_shown).then(Hidden::begin);
        self.stderr(&clean(question));
        let text = match &self.streams {
            Streams::Process => {
                // A thread of its own reads, because an unanswered question would keep the runtime from shutting down.
                let (answer, typed) = tokio::sync::oneshot::channel();
                std::thread::spawn(move || typed_line().map(|text| answer.send(text)));
                stop.run_until_cancelled(typed).await?.ok()?
            }
            #[cfg(feature = "fakes")]
            Streams::Captured(captured) => captured.answer(is_shown)?,
        };
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        (!text.is_empty()).then_some(text)
    }
}

fn typed_line() -> Option<String> {
    let mut text = String::new();
    std::io::stdin().read_line(&mut text).ok().map(|_| text)
}

/// Turns the terminal's echo off until dropped.
struct Hidden(Option<Termios>);

impl Hidden {
    fn begin() -> Self {
        let Ok(before) = tcgetattr(std::io::stdin()) else {
            return Self(None);
        };
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // `Now` keeps what was typed ahead.
        match tcsetattr(std::io::stdin(), OptionalActions::Now, &hidden) {
            Ok(()) => Self(Some(before)),
            Err(_) => Self(None),
        }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}
