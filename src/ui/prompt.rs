//! Asks for credentials, only on a terminal. A typed password is not shown.

use std::io::{IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::Printer;

impl Printer {
    /// Asks for the user and password of a registry. Returns `None` without a terminal, for an empty answer, and after
    /// `stop`.
    pub async fn ask_credentials(
        self,
        domain: &str,
        stop: &CancellationToken,
    ) -> Option<(String, SecretString)> {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        let user = line(&format!("User of {domain}: "), stop).await?;
        let password = {
            let _hidden = Hidden::begin();
            line(&format!("Password of {user} at {domain}: "), stop).await
        };
        // The typed end of line was not shown either.
        let _ = writeln!(std::io::stderr());
        Some((user, password?.into()))
    }
}

/// Reads a typed line. A thread of its own reads it, because an unanswered question would keep the runtime from
/// shutting down.
async fn line(question: &str, stop: &CancellationToken) -> Option<String> {
    let _ = write!(std::io::stderr(), "{question}");
    let (answer, typed) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        if std::io::stdin().read_line(&mut text).is_ok() {
            let _ = answer.send(text);
        }
    });
    let text = stop.run_until_cancelled(typed).await?.ok()?;
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    (!text.is_empty()).then_some(text)
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
