//! A failure as it is shown: error, causes, hint.

use anyhow::Error;
use serde_json::json;

use super::{Conversation, Printer};
use crate::doctor;

/// Shows an error with its causes and what to do next.
pub fn failure(printer: Printer, error: &Error) {
    let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    let hint = doctor::hint(error);
    if printer.conversation() == Conversation::Json {
        let line =
            json!({"event": "error", "error": error.to_string(), "causes": causes, "hint": hint});
        return printer.complain(&line.to_string());
    }
    printer.complain(&format!("{} {error}", printer.styled("error:", "1;31")));
    for cause in causes {
        // A node's message may have several lines; each stays under its heading.
        let text = cause.replace('\n', "\n             ");
        printer.complain(&format!("  {} {text}", printer.styled("caused by:", "33")));
    }
    if let Some(hint) = hint {
        printer.complain(&format!("  {} {hint}", printer.styled("hint:", "1;36")));
    }
}

/// Says that Ctrl-C ended the run, and what is left.
pub fn interrupted(printer: Printer, left: &str) {
    if printer.conversation() == Conversation::Json {
        return printer.complain(&json!({"event": "interrupted", "left": left}).to_string());
    }
    printer.complain(&format!(
        "{} {left}",
        printer.styled("interrupted:", "1;33")
    ));
}
