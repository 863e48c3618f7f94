//! Back ends of registries that kindreg runs: the [`Driver`] trait that steps use, and one folder for each back end.
//!
//! Nothing outside this folder names a back end. A driver says what a registry needs; steps do it.

use std::fmt;
use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;

use crate::archive::Archive;
use crate::credentials::Stored;
use crate::docker::ContainerSpec;
use crate::layout::Layout;
use crate::oci::proof::Stored as StoredImage;
use crate::problem::Problem;
use crate::spec::{Backend, ClusterName, Data, ImageRef, Registry, Spec};
use crate::step::{Ctx, Lane};

mod distribution;
pub mod secret;

#[cfg(any(test, feature = "fakes"))]
pub use distribution::REMOVE_PROOF;

/// A file of a registry's secret volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// The path of the file, relative to the volume.
    pub name: &'static str,
    /// The content of the file.
    pub content: String,
}

/// A registry that kindreg runs, with the driver of its back end.
pub type Managed = Arc<dyn Driver>;

/// The needs of a back end and the way to use it. All methods except [`Driver::missing_input`] are pure.
#[async_trait]
pub trait Driver: fmt::Debug + Send + Sync {
    /// Returns the cluster that the registry belongs to.
    fn cluster(&self) -> &ClusterName;

    /// Returns the registry.
    fn registry(&self) -> &Registry;

    /// Returns whether `down` keeps the registry's images.
    fn data(&self) -> Data;

    /// Returns the images of the registry's containers.
    fn images(&self) -> Vec<ImageRef>;

    /// Returns the registry's containers in the order in which they start. The last one serves the port.
    ///
    /// Each has a label with the hash of its settings, so that one comparison finds drift.
    ///
    /// # Errors
    /// The settings can't be serialised.
    fn containers(&self) -> Result<Vec<ContainerSpec>>;

    /// Returns the steps before the registry starts, other than certificate and users.
    fn setup(&self) -> Lane;

    /// Returns the problem to show if the registry needs input from the user that is missing; `None` otherwise.
    ///
    /// # Errors
    /// The engine does not answer.
    async fn missing_input(&self, ctx: &Ctx) -> Result<Option<Problem>>;

    /// Returns the configuration files as `render` shows them, with variable names instead of secret values.
    ///
    /// # Errors
    /// A file can't be rendered.
    fn preview(&self) -> Result<Vec<SecretFile>>;

    /// Returns the name of the users file in the secret volume. The registry reads it again when it changes.
    fn users_file(&self) -> &'static str;

    /// Returns the content of the users file that admits exactly these users.
    ///
    /// # Errors
    /// A password can't be hashed.
    fn users_text(&self, users: &Stored) -> Result<String>;

    /// Returns whether a users file admits exactly these users.
    fn admission(&self, file: &[u8], users: &Stored) -> Admission;

    /// Returns the URL path that answers 200 or 401 once the registry serves (`/v2/`:
    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#determining-support>).
    fn ready_path(&self) -> &'static str {
        "/v2/"
    }

    /// Returns the problem to show if the registry's container ended before it served.
    fn start_failure(&self) -> Problem;

    /// Returns how kindreg puts an image into the registry.
    fn delivery(&self) -> Delivery<'_>;

    /// Returns the name of the container that serves the registry's port.
    fn container_name(&self) -> String {
        Layout::of(self.cluster()).registry(&self.registry().name)
    }

    /// Returns the domain by which the engine's host reaches the registry (`localhost:port`).
    fn local_domain(&self) -> String {
        self.registry().local_domain().unwrap_or_default()
    }
}

/// The users that a registry admits, compared with those that it should admit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Exactly these users.
    Exact,
    /// Other users, only some of them, or none.
    Differs,
}

/// The way to put an image into a registry.
#[derive(Debug)]
pub enum Delivery<'a> {
    /// Push the image.
    Push,
    /// Write the image into the registry's data, because the registry takes no pushes.
    Store(&'a dyn ImageStore),
}

/// Access to the data of a registry that takes no pushes.
pub trait ImageStore: fmt::Debug + Send + Sync {
    /// Returns an archive of the image for the container's root folder, and the image's digest (`sha256:…`).
    fn archive(&self, repository: &str, image: &StoredImage) -> (Archive, String);

    /// Returns the folder of the data volume that holds the images.
    fn folder(&self) -> String;

    /// Returns the name and the text of the script that removes the proof image. Its argument is the folder of the
    /// images.
    fn removal(&self) -> (&'static str, &'static str);
}

/// Returns the driver of a registry; `None` for an external one.
#[must_use]
pub fn driver(spec: &Spec, registry: &Registry) -> Option<Managed> {
    match &registry.backend {
        Backend::Distribution(settings) => Some(Arc::new(distribution::Driver::new(
            spec.cluster.clone(),
            registry.clone(),
            settings.clone(),
        ))),
        Backend::External(_) => None,
    }
}

/// Returns the drivers of all registries that kindreg runs, in the order of the Spec.
pub fn managed(spec: &Spec) -> impl Iterator<Item = Managed> {
    spec.registries
        .iter()
        .filter_map(|registry| driver(spec, registry))
}
