//! Terminal styles, named by what they mean.

use anstyle::{AnsiColor, Style};

/// Heads an error.
pub(super) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Heads a cause of an error.
pub(super) const CAUSE: Style = AnsiColor::Yellow.on_default();
/// Heads what to do next.
pub(super) const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// Heads a warning, or what Ctrl-C left.
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// A step that is done.
pub(super) const DONE: Style = AnsiColor::Green.on_default();
/// A step that finds something else than what is wanted.
pub(super) const DRIFT: Style = AnsiColor::Yellow.on_default();
/// A step that failed.
pub(super) const FAILED: Style = AnsiColor::Red.on_default();
/// A step whose work is removed.
pub(super) const REMOVED: Style = AnsiColor::Cyan.on_default();
/// Detail that may be overlooked.
pub(super) const DIM: Style = Style::new().dimmed();
