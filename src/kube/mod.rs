//! The Kubernetes API of a cluster in our words: paths and JSON, no typed client.
//!
//! Nothing here may know how the API is reached; `node.rs` does.

use async_trait::async_trait;
use serde_json::Value;

#[cfg(any(test, feature = "fakes"))]
pub mod fake;
pub mod name;
pub mod node;
pub mod traced;

/// What a call on the Kubernetes API came to, where it failed.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// The API server can't be asked (yet): no node, no answer, or not set up.
    #[error("the Kubernetes API of the cluster does not answer: {0}")]
    Unreachable(String),
    /// It answered, and refused.
    #[error("the Kubernetes API refused {method} {path}: {message}")]
    Refused {
        /// The HTTP method.
        method: &'static str,
        /// The path.
        path: String,
        /// `reason` of the answered Status (`AlreadyExists`, `Forbidden`, …), or its text.
        message: String,
    },
}

/// Result of a call on the Kubernetes API.
pub type Result<T> = std::result::Result<T, KubeError>;

/// The Kubernetes API of one cluster, with the rights of its administrator.
#[async_trait]
pub trait Kube: Send + Sync + std::fmt::Debug {
    /// The object or list at a path (`/api/v1/nodes`), or `None` where there is none.
    async fn get(&self, path: &str) -> Result<Option<Value>>;
    /// Makes an object in the collection at a path. One that exists is replaced.
    async fn put(&self, collection: &str, object: &Value) -> Result<()>;
    /// Deletes the object at a path at once (no grace). Absent is `Ok`.
    async fn delete(&self, path: &str) -> Result<()>;
}
