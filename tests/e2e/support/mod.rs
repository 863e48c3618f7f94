//! What the tests stand on: the program run as a user would, the machine before and after, the world's own programs.

pub(crate) mod company;
pub(crate) mod far_engine;
mod machine;
mod pod;
mod program;
mod scene;
mod shared;
mod stranger;
mod token;
mod world;

pub(crate) use machine::{Machine, concerns_us};
pub(crate) use pod::Pod;
pub(crate) use program::{Call, Ended};
pub(crate) use scene::{Kubeconfig, Loaded, OTHER, Scene, scratch, setting};
pub(crate) use shared::{SHARED, Shared};
pub(crate) use stranger::Stranger;
pub(crate) use token::{BearerRegistry, TokenServer};
pub(crate) use world::*;
