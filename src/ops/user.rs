//! The port through which operations ask the user.

use async_trait::async_trait;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::Question;

/// Answers the questions of operations.
#[async_trait]
pub trait User: Send + Sync {
    /// Returns whether the user agrees to a consequence of the settings.
    fn agrees(&self, question: &Question) -> bool;

    /// Returns user name and password for a registry; `None` if nobody can be asked or there is no answer.
    async fn credentials(
        &self,
        domain: &str,
        stop: &CancellationToken,
    ) -> Option<(String, SecretString)>;
}

/// A user who can't be asked: the answer to every question is no.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

#[async_trait]
impl User for Nobody {
    fn agrees(&self, _: &Question) -> bool {
        false
    }

    async fn credentials(&self, _: &str, _: &CancellationToken) -> Option<(String, SecretString)> {
        None
    }
}
