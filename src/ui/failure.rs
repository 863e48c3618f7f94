//! Prints a failure: the error, its causes, and a hint.

use anyhow::Error;
use serde_json::json;

use super::clean::clean;
use super::{Printer, style};
use crate::hints;
use crate::problem::Several;

/// Prints an error, its causes, and what to do next.
pub fn failure(printer: &Printer, error: &Error) {
    if let Some(several) = error.downcast_ref::<Several>() {
        for one in several.failures() {
            failure(printer, one);
        }
        return;
    }
    let mut texts: Vec<String> = error.chain().map(ToString::to_string).collect();
    // A cause that says the same as what it caused says nothing new.
    texts.dedup();
    let causes = texts.split_off(1);
    let hint = hints::hint(error).map(|hint| printer.filled(&hint));
    if printer.mode().is_json() {
        let symptom = hints::symptom(error);
        let line = json!({
            "event": "error",
            "error": error.to_string(),
            "causes": causes,
            "hint": hint,
            "code": symptom.map(|symptom| symptom.code.to_string()),
            "source": symptom.map(|symptom| symptom.source),
        });
        return printer.complain(&line.to_string());
    }
    // kind's and a node's messages may have several lines; each stays under its heading.
    let text = clean(&error.to_string()).replace('\n', "\n       ");
    printer.styled_line(&format!(
        "{} {text}",
        printer.styled("error:", style::ERROR)
    ));
    for cause in causes {
        let text = clean(&cause).replace('\n', "\n             ");
        printer.styled_line(&format!(
            "  {} {text}",
            printer.styled("caused by:", style::CAUSE)
        ));
    }
    if let Some(hint) = hint {
        printer.styled_line(&format!(
            "  {} {}",
            printer.styled("hint:", style::HINT),
            clean(&hint)
        ));
    }
}

/// Prints that Ctrl-C ended the run, and what is left.
pub fn interrupted(printer: &Printer, left: &str) {
    let left = &printer.filled(left);
    if printer.mode().is_json() {
        return printer.complain(&json!({"event": "interrupted", "left": left}).to_string());
    }
    printer.styled_line(&format!(
        "{} {}",
        printer.styled("interrupted:", style::WARNING),
        clean(left)
    ));
}
