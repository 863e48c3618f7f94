//! Steps on the engine's host: images, and CAs in its certs.d. Also one-shot containers, which steps use to write.

mod folders;
mod image;
mod leftovers;
mod one_shot;
mod trust;

pub use image::Image;
pub use leftovers::HostLeftovers;
#[cfg(any(test, feature = "fakes"))]
pub use leftovers::SWEEP;
pub(crate) use one_shot::{Script, ScriptFailed};
pub use trust::{HostName, HostTrust};
#[cfg(any(test, feature = "fakes"))]
pub use trust::{INSTALL, REMOVE};
