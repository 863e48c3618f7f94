//! The CNCF distribution registry (`registry:3`, and `registry:2`), over TLS, with its data on a volume.
//!
//! <https://distribution.github.io/distribution/>

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::{Admission, Delivery, ImageStore, SecretFile};
use crate::archive::Archive;
use crate::credentials::{RegistryCredentials, Stored};
use crate::docker::ContainerSpec;
use crate::layout::{self, Layout};
use crate::oci::proof::Stored as StoredImage;
use crate::problem::Problem;
use crate::spec::{Cache, ClusterName, Data, Distribution, ImageRef, Registry, Serves};
use crate::step::{Ctx, Lane};

mod config;
mod container;
mod upstream_credentials;
mod upstream_trust;

use upstream_credentials::UpstreamCredentials;
use upstream_trust::UpstreamTrust;

/// The file of users and bcrypt hashes in the secret volume. distribution reads it again when its modification time
/// changes: <https://distribution.github.io/distribution/about/configuration/#htpasswd>.
const HTPASSWD: &str = "htpasswd";
/// The configuration file in the secret volume, for caches that log in to their upstream. distribution reads it only at
/// start.
const CONFIG: &str = "config.yml";
/// The file of the CA of a cache's upstream, in the secret volume. distribution reads it only at start.
const UPSTREAM_CA: &str = "upstream/ca.crt";

/// The name of the script that removes the proof image from a cache's data. Its argument is the folder of the images.
pub const REMOVE_PROOF: &str = "kindreg-remove-proof";
/// A script, because distribution refuses deletes in a cache. It may remove more of the repository than the proof
/// image: the cache fetches that again.
const REMOVE_PROOF_SCRIPT: &str = r#"set -eu; cd "$1/docker/registry/v2" || exit 0
of=repositories/kindreg/proof
for link in "$of"/_layers/sha256/* "$of"/_manifests/revisions/sha256/*; do
  digest=${link##*/}; rm -rf "blobs/sha256/$(printf %.2s "$digest")/$digest"
done
rm -rf "$of"; rmdir repositories/kindreg 2>/dev/null || true"#;

/// The driver of one distribution registry.
#[derive(Debug, Clone)]
pub(super) struct Driver {
    cluster: ClusterName,
    registry: Registry,
    settings: Distribution,
}

impl Driver {
    pub(super) const fn new(
        cluster: ClusterName,
        registry: Registry,
        settings: Distribution,
    ) -> Self {
        Self {
            cluster,
            registry,
            settings,
        }
    }

    /// Returns the cache's settings; `None` if the registry takes pushes.
    const fn cache(&self) -> Option<&Cache> {
        match &self.settings.serves {
            Serves::Pushed { .. } | Serves::Everything => None,
            Serves::Cache(cache) => Some(cache),
        }
    }

    /// Returns the step that writes a cache's credentials for its upstream; `None` if it needs none.
    fn upstream_credentials(&self) -> Option<UpstreamCredentials> {
        let cache = self.cache()?;
        Some(UpstreamCredentials {
            driver: self.clone(),
            upstream: cache.upstream.clone(),
            variables: cache.login.clone()?,
        })
    }

    /// Returns the step that writes the CA of a cache's upstream; `None` if that is a public CA.
    fn upstream_trust(&self) -> Option<UpstreamTrust> {
        let cache = self.cache()?;
        Some(UpstreamTrust {
            driver: self.clone(),
            upstream: cache.upstream.clone(),
            ca: cache.ca.clone()?,
        })
    }

    /// Returns the folder of the registry's images. A cache has one folder for each upstream, so that a tag of one
    /// upstream never answers for another.
    fn store(&self) -> String {
        match self.cache() {
            Some(cache) => format!("{}/{}", layout::DATA, cache.upstream),
            None => layout::DATA.to_owned(),
        }
    }
}

#[async_trait]
impl super::Driver for Driver {
    fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn data(&self) -> Data {
        self.settings.data
    }

    fn images(&self) -> Vec<ImageRef> {
        vec![self.settings.image.clone()]
    }

    fn containers(&self) -> Result<Vec<ContainerSpec>> {
        Ok(vec![container::container(self)?])
    }

    fn setup(&self) -> Lane {
        let mut lane: Lane = Vec::new();
        if let Some(step) = self.upstream_trust() {
            lane.push(Box::new(step));
        }
        if let Some(step) = self.upstream_credentials() {
            lane.push(Box::new(step));
        }
        lane
    }

    async fn missing_input(&self, ctx: &Ctx) -> Result<Option<Problem>> {
        match self.upstream_credentials() {
            Some(step) => step.missing_input(ctx).await,
            None => Ok(None),
        }
    }

    fn preview(&self) -> Result<Vec<SecretFile>> {
        let Some(UpstreamCredentials {
            upstream,
            variables,
            ..
        }) = self.upstream_credentials()
        else {
            return Ok(Vec::new());
        };
        let [user, password] =
            [&variables.username, &variables.password].map(|name| format!("${name}"));
        let login = RegistryCredentials::given(user, password)?;
        let content = config::config(&self.store(), &upstream, &login)?;
        Ok(vec![SecretFile {
            name: CONFIG,
            content: content.expose_secret().to_owned(),
        }])
    }

    fn users_file(&self) -> &'static str {
        HTPASSWD
    }

    fn users_text(&self, users: &Stored) -> Result<String> {
        Ok(users.htpasswd()?)
    }

    fn admission(&self, file: &[u8], users: &Stored) -> Admission {
        if users.is_in(&String::from_utf8_lossy(file)) {
            Admission::Exact
        } else {
            Admission::Differs
        }
    }

    fn start_failure(&self) -> Problem {
        match self.cache() {
            // https://github.com/distribution/distribution/issues/4490
            Some(Cache { upstream, .. }) => Problem::new(
                format!("the cache of {upstream} did not start: it can't reach {upstream}"),
                "check the host and port in mirror_of and the CA in upstream_ca, or use mirror_of = \"*\" to push \
                 images without a network",
            ),
            None => Problem::new(
                format!(
                    "registry {} stopped right after its start",
                    self.registry.domain()
                ),
                format!(
                    "run: kindreg up --name {} --keep-on-failure; docker logs {}",
                    self.cluster,
                    Layout::of(&self.cluster).registry(&self.registry.name)
                ),
            ),
        }
    }

    fn delivery(&self) -> Delivery<'_> {
        match self.cache() {
            // A cache refuses pushes (405): https://distribution.github.io/distribution/recipes/mirror/
            Some(_) => Delivery::Store(self),
            None => Delivery::Push,
        }
    }
}

/// Writes the same files as a push. A cache looks in its store before it asks its upstream for a digest:
/// <https://github.com/distribution/distribution/blob/main/registry/storage/paths.go>.
impl ImageStore for Driver {
    fn archive(&self, repository: &str, image: &StoredImage) -> (Archive, String) {
        let hash = |content: &Bytes| hex::encode(Sha256::digest(content));
        let store = self.store();
        let root = format!("{}/docker/registry/v2", store.trim_start_matches('/'));
        let link = |archive: Archive, kind: &str, hash: &str| {
            let path = format!("{root}/repositories/{repository}/{kind}/sha256/{hash}/link");
            archive.file(path, 0o644, format!("sha256:{hash}"))
        };
        let manifest = hash(&image.manifest);
        let mut archive = link(Archive::new(), "_manifests/revisions", &manifest);
        for blob in &image.blobs {
            archive = link(archive, "_layers", &hash(blob));
        }
        for blob in image.blobs.iter().chain([&image.manifest]) {
            let hash = hash(blob);
            let path = format!("{root}/blobs/sha256/{}/{hash}/data", &hash[..2]);
            archive = archive.file(path, 0o644, blob.clone());
        }
        (archive, format!("sha256:{manifest}"))
    }

    fn folder(&self) -> String {
        self.store()
    }

    fn removal(&self) -> (&'static str, &'static str) {
        (REMOVE_PROOF, REMOVE_PROOF_SCRIPT)
    }
}
