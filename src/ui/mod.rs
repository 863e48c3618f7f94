//! All that a person or a program gets to see. stdout is the product, stderr the conversation.
//!
//! Nothing outside this folder prints. Nothing here decides.

mod failure;
mod printer;
mod progress;
mod prompt;

pub use failure::{failure, interrupted};
pub use printer::{Conversation, Printer};
pub use progress::Progress;
