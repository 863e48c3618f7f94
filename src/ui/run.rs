//! Completes the commands in hints and notes, so that they can be typed as printed. Prints nothing.

use crate::problem::AGAIN;

/// What hints and notes leave open, as only the command line knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The name of the cluster, for which texts have `CLUSTER`.
    pub cluster: String,
    /// The command line, for which texts have [`AGAIN`].
    pub command: String,
}

impl Run {
    /// Returns a text whose commands can be typed as printed.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        text.replace("CLUSTER", &self.cluster)
            .replace(AGAIN, &format!("run: {}", self.command))
    }
}
