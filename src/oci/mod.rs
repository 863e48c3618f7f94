//! Images in the formats of the Open Container Initiative (OCI).
//!
//! Nothing here knows Docker's API or Kubernetes.

pub mod proof;
