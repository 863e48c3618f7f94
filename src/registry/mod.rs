//! Back ends of registries that kindreg runs: the [`Driver`] that steps talk to, and one folder a back end.
//!
//! Nothing outside this folder names a back end. A driver says what is needed; steps do it.

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
    /// Its path below the volume.
    pub name: &'static str,
    /// What it holds.
    pub content: String,
}

/// A registry that kindreg runs, with the driver of its back end.
pub type Managed = Arc<dyn Driver>;

/// What a back end needs and how it is used. Everything but [`Driver::missing_input`] is pure.
#[async_trait]
pub trait Driver: fmt::Debug + Send + Sync {
    /// Returns the cluster that the registry belongs to.
    fn cluster(&self) -> &ClusterName;

    /// Returns the registry.
    fn registry(&self) -> &Registry;

    /// Returns what happens to its images on `down`.
    fn data(&self) -> Data;

    /// Returns the images of its containers.
    fn images(&self) -> Vec<ImageRef>;

    /// Returns its containers in the order in which they start. The last one serves its port.
    ///
    /// Each has a label with a hash of its settings, so that drift is one comparison.
    ///
    /// # Errors
    /// The settings can't be serialised.
    fn containers(&self) -> Result<Vec<ContainerSpec>>;

    /// Returns the steps that it takes besides certificate and users before it starts.
    fn setup(&self) -> Lane;

    /// Returns what it needs from the user and has nowhere, as the problem to show; `None` where nothing is missing.
    ///
    /// # Errors
    /// The engine does not answer.
    async fn missing_input(&self, ctx: &Ctx) -> Result<Option<Problem>>;

    /// Returns its configuration files as `render` shows them, with names of variables in place of their values.
    ///
    /// # Errors
    /// One can't be rendered.
    fn preview(&self) -> Result<Vec<SecretFile>>;

    /// Returns the name of the file of the secret volume by which it admits users. It reads it again when it changes.
    fn users_file(&self) -> &'static str;

    /// Returns what that file holds for these users and nobody else.
    ///
    /// # Errors
    /// A password can't be hashed.
    fn users_text(&self, users: &Stored) -> Result<String>;

    /// Returns how such a file compares with these users.
    fn admission(&self, file: &[u8], users: &Stored) -> Admission;

    /// Returns the path that answers 200 or 401 once it serves (`/v2/`:
    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#determining-support>).
    fn ready_path(&self) -> &'static str {
        "/v2/"
    }

    /// Returns the problem to show where it ended before it served.
    fn explain_end(&self) -> Problem;

    /// Returns how an image gets into it.
    fn delivery(&self) -> Delivery<'_>;

    /// Returns the name of the container that serves its port.
    fn container_name(&self) -> String {
        Layout::of(self.cluster()).registry(&self.registry().name)
    }

    /// Returns the domain by which the engine's host reaches it.
    fn local_domain(&self) -> String {
        self.registry().local_domain().unwrap_or_default()
    }
}

/// Whom a registry admits, compared with whom it is to admit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// These users and nobody else.
    Exact,
    /// Others, too few, or nobody.
    Differs,
}

/// How an image gets into a registry.
#[derive(Debug)]
pub enum Delivery<'a> {
    /// It is pushed.
    Push,
    /// It is put into the registry's data, as it takes no pushes.
    Store(&'a dyn ImageStore),
}

/// Access to the data of a registry that takes no pushes.
pub trait ImageStore: fmt::Debug + Send + Sync {
    /// Returns an archive for the container's root that puts an image there, and the image's digest.
    fn archive(&self, repository: &str, image: &StoredImage) -> (Archive, String);

    /// Returns the folder of the data volume that holds the images.
    fn folder(&self) -> String;

    /// Returns the name and the text of the script that removes the proof's image; its argument is the folder.
    fn removal(&self) -> (&'static str, &'static str);
}

/// Returns the driver of a registry; `None` where somebody else runs it.
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
