//! Questions about credentials, on a terminal alone. What is typed as a password is not shown.

use std::io::{IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::Printer;

impl Printer {
    /// Asks for user and password of a registry; `None` without a terminal, for an empty answer, and once stopped.
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
        // The line's end was not shown either.
        let _ = writeln!(std::io::stderr());
        Some((user, password?.into()))
    }
}

/// A line that is typed. It is read beside the runtime, which an unanswered question would keep from ending.
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

/// The terminal without its echo, until dropped.
struct Hidden(Option<Termios>);

impl Hidden {
    fn begin() -> Self {
        let Ok(before) = tcgetattr(std::io::stdin()) else {
            return Self(None);
        };
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // `Now`: what was typed ahead stays.
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
