//! Steps on the engine's host: images, and trust in its certs.d; and one-shot containers, which steps write through.

mod image;
mod leftovers;
mod one_shot;
mod trust;

pub use image::Image;
pub use leftovers::HostLeftovers;
#[cfg(any(test, feature = "fakes"))]
pub use leftovers::SWEEP;
pub(crate) use one_shot::{Script, ScriptFailed};
pub use trust::HostTrust;
#[cfg(any(test, feature = "fakes"))]
pub use trust::{INSTALL, REMOVE};
