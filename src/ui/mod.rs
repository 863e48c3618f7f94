//! Everything that kindreg prints: results on stdout; progress, questions and errors on stderr.
//!
//! Nothing outside this folder prints. Nothing here decides.

#[cfg(feature = "fakes")]
mod captured;
mod clean;
mod failure;
mod printer;
mod progress;
mod prompt;
mod run;
mod style;

#[cfg(feature = "fakes")]
pub use captured::Captured;
pub use failure::{failure, interrupted};
pub use printer::{OutputMode, Printer};
pub use progress::Progress;
pub use run::Run;
