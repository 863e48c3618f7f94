//! The steps, one file each: a step looks and acts through the ports, and prints nothing.
//!
//! Which steps a use case takes, and in which order, is `plan`'s.

pub mod cluster;
pub mod host;
pub mod nodes;
pub mod proof;
pub mod registry;
mod retired;

pub use retired::Retired;
