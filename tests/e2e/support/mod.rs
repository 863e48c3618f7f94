//! What the tests stand on: the program run as a user would, the machine before and after, the world's own programs.

mod machine;
mod program;
mod scene;
mod world;

pub(crate) use machine::{Machine, concerns_us};
pub(crate) use program::{Call, Ended};
pub(crate) use scene::{Kubeconfig, Scene, scratch};
pub(crate) use world::*;
