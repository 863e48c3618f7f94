//! Everything that kindreg prints: results on stdout; progress, questions and errors on stderr.
//!
//! Nothing outside this folder prints. Nothing here decides.

mod failure;
mod printer;
mod progress;
mod prompt;
mod style;

pub use failure::{failure, interrupted};
pub use printer::{OutputMode, Printer};
pub use progress::Progress;
