//! The port to whoever can be asked.

use async_trait::async_trait;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::Question;

/// Answers questions that only a person, or whoever speaks for one, can answer.
#[async_trait]
pub trait User: Send + Sync {
    /// Returns whether the user agrees to a consequence of the settings.
    fn agrees(&self, question: &Question) -> bool;

    /// Returns user name and password for a registry; `None` where there is nobody to ask, or no answer.
    async fn credentials(
        &self,
        domain: &str,
        stop: &CancellationToken,
    ) -> Option<(String, SecretString)>;
}

/// Nobody can be asked: every question is declined.
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
