//! Images, in the words of the Open Container Initiative (OCI).
//!
//! Nothing here may know Docker's API or Kubernetes.

pub mod proof;
