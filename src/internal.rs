//! The inside of the crate, for the project's own tests and benchmarks. Not part of its interface.

pub mod archive {
    pub use crate::archive::*;
}
pub mod credentials {
    pub use crate::credentials::*;
}
pub mod docker {
    pub use crate::docker::*;
}
pub mod hints {
    pub use crate::hints::*;
}
pub mod engine {
    pub use crate::engine::*;
}
pub mod kind {
    pub use crate::kind::*;
}
pub mod kube {
    pub use crate::kube::*;
}
pub mod kubeconfig {
    pub use crate::kubeconfig::*;
}
pub mod layout {
    pub use crate::layout::*;
}
pub mod lock {
    pub use crate::lock::*;
}
pub mod login {
    pub use crate::login::*;
}
pub mod observe {
    pub use crate::observe::*;
}
pub mod oci {
    pub use crate::oci::*;
}
pub mod pki {
    pub use crate::pki::*;
}
pub mod plan {
    pub use crate::plan::*;
}
pub mod ports {
    pub use crate::ops::ports::*;
}
pub mod problem {
    pub use crate::problem::*;
}
pub mod registry {
    pub use crate::registry::*;
}
pub mod render {
    pub use crate::render::*;
}
pub mod step {
    pub use crate::step::*;
}
pub mod steps {
    pub use crate::steps::*;
}
pub mod symptoms {
    pub use crate::symptoms::*;
}
pub mod trace {
    pub use crate::trace::*;
}
pub mod variables {
    pub use crate::variables::*;
}
pub mod verdict {
    pub use crate::verdict::*;
}
