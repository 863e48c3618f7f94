//! Decides once where text goes and how it looks.

use std::io::{IsTerminal, Write};

/// How the conversation on stderr is led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversation {
    /// Bars on a terminal.
    Bars,
    /// A line an event.
    Lines,
    /// A JSON object an event (NDJSON).
    Json,
    /// Errors only.
    Quiet,
}

/// Writes to stdout and stderr. A closed pipe is no failure: whoever closed it has seen enough.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    conversation: Conversation,
    colour: bool,
}

impl Printer {
    /// A printer that leads the conversation as asked; `Bars` become `Lines` where stderr is no terminal.
    #[must_use]
    pub fn new(conversation: Conversation) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let conversation = match conversation {
            Conversation::Bars if !terminal => Conversation::Lines,
            other => other,
        };
        // https://no-color.org
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            conversation,
            colour,
        }
    }

    /// How the conversation is led.
    #[must_use]
    pub const fn conversation(self) -> Conversation {
        self.conversation
    }

    /// A line of the product.
    pub fn out(self, line: &str) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    /// A line of the conversation.
    pub fn say(self, line: &str) {
        if self.conversation != Conversation::Quiet {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// A line that even a quiet conversation has.
    pub fn complain(self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// Text in an ANSI style (`1;31`), where colours are wanted.
    #[must_use]
    pub fn styled(self, text: &str, style: &str) -> String {
        if self.colour {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Asks a question on the terminal; anything but `y` or `yes` is a no, and so is having no terminal.
    #[must_use]
    pub fn ask(self, question: &str) -> bool {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return false;
        }
        let _ = write!(std::io::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).is_ok()
            && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }
}
