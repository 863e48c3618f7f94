//! Steps of a registry that kindreg runs. They use its driver and name no back end.

mod certificate;
mod container;
mod credentials;
mod login;
mod port;
mod service;
mod users;
mod volumes;

pub use certificate::Certificate;
pub use container::RegistryContainers;
pub use credentials::Credentials;
pub use login::DockerLogin;
#[cfg(any(test, feature = "fakes"))]
pub use port::ASK_PORT;
pub(crate) use port::is_at_its_port;
#[cfg(any(test, feature = "fakes"))]
pub use service::ASK;
pub use service::{PortTaken, Service};
#[cfg(any(test, feature = "fakes"))]
pub use users::RENAME;
pub use users::{NextUser, RetiredUser};
pub use volumes::Volumes;
