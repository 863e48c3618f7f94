//! The port to the Kubernetes API of a cluster: paths and JSON, without a typed client. `node.rs` reaches the API.

use async_trait::async_trait;
use serde_json::Value;

#[cfg(any(test, feature = "fakes"))]
pub mod fake;
pub mod name;
pub mod node;
pub mod traced;

/// Why a call to the Kubernetes API failed.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// The API server does not answer (yet): no node, no connection, or not set up.
    #[error("the Kubernetes API of the cluster does not answer: {0}")]
    Unreachable(String),
    /// The API server refused the request.
    #[error("the Kubernetes API refused {method} {path}: {message}")]
    Refused {
        /// The HTTP method.
        method: &'static str,
        /// The path.
        path: String,
        /// `reason` and message of the returned Status (`AlreadyExists: …`, `Forbidden: …`).
        message: String,
    },
}

/// Result of a call to the Kubernetes API.
pub type Result<T> = std::result::Result<T, KubeError>;

/// The Kubernetes API of one cluster, with its administrator's rights.
#[async_trait]
pub trait Kube: Send + Sync + std::fmt::Debug {
    /// Returns the object or list at a path (`/api/v1/nodes`), or `None` if there is none.
    async fn get(&self, path: &str) -> Result<Option<Value>>;
    /// Creates or replaces an object in the collection at a path.
    async fn put(&self, collection: &str, object: &Value) -> Result<()>;
    /// Deletes the object at a path at once, without a grace period. An absent one is `Ok`.
    async fn delete(&self, path: &str) -> Result<()>;
}
