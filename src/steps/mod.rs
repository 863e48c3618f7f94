//! The steps, one file each. A step reads and changes things through the ports, and prints nothing.
//!
//! `plan` decides which steps a use case has, and in which order.

pub mod cluster;
pub mod host;
pub mod nodes;
pub mod proof;
pub mod registry;
mod retired;

pub use retired::Retired;
