//! Steps of a registry that kindreg runs. They talk to its driver, never to one back end by name.

mod certificate;
mod container;
mod credentials;
mod login;
mod service;
mod users;
mod volumes;

pub use certificate::Certificate;
pub use container::RegistryContainers;
pub use credentials::Credentials;
pub use login::DockerLogin;
#[cfg(any(test, feature = "fakes"))]
pub use service::ASK;
pub use service::{PortTaken, Service};
#[cfg(any(test, feature = "fakes"))]
pub use users::RENAME;
pub use users::{NextUser, RetiredUser};
pub use volumes::Volumes;
