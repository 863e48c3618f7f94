//! Registry back ends: which container a registry needs, and how it is set up. Pure; steps do the work.

pub mod distribution;
pub mod upstream;
