//! Steps of the cluster as a whole: record, network, kubeconfig, creation, readiness, and objects in its API.

mod copies;
mod created;
mod hosting;
mod kubeconfig;
mod leftovers;
mod network;
mod pull_secrets;
mod ready;
mod record;

pub use copies::{RecordCopies, copy_in_volumes, save, save_original};
pub use created::{Cluster, created};
pub use hosting::Hosting;
pub use kubeconfig::OriginalKubeconfig;
pub use leftovers::Leftovers;
pub use network::Network;
pub use pull_secrets::{PullSecrets, attach, manifest, namespaces, put};
pub use ready::NodesReady;
pub use record::{Record, Settled};
