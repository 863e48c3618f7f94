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

/// File of users and their bcrypt hashes in the secret volume; distribution reads it again when its time changes:
/// <https://distribution.github.io/distribution/about/configuration/#htpasswd>.
const HTPASSWD: &str = "htpasswd";
/// File of settings in the secret volume, where they hold the credentials for the upstream of a cache; read at start
/// only.
const CONFIG: &str = "config.yml";
/// File of the CA of a cache's upstream, in the secret volume; read at start only.
const UPSTREAM_CA: &str = "upstream/ca.crt";

/// Name of the script that removes the proof's image from a cache's data; its argument is the folder of the images.
pub const REMOVE_PROOF: &str = "kindreg-remove-proof";
/// distribution lets nobody delete from a cache. What else of the repository is there is the cache's, which fetches it
/// again.
const REMOVE_PROOF_SCRIPT: &str = r#"set -eu; cd "$1/docker/registry/v2" || exit 0
of=repositories/kindreg/proof
for link in "$of"/_layers/sha256/* "$of"/_manifests/revisions/sha256/*; do
  digest=${link##*/}; rm -rf "blobs/sha256/$(printf %.2s "$digest")/$digest"
done
rm -rf "$of"; rmdir repositories/kindreg 2>/dev/null || true"#;

/// One registry of this kind.
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

    /// Returns what it is a cache of; `None` where images are pushed to it.
    const fn cache(&self) -> Option<&Cache> {
        match &self.settings.serves {
            Serves::Pushed { .. } | Serves::Everything => None,
            Serves::Cache(cache) => Some(cache),
        }
    }

    /// Returns the step that gives a cache the credentials for its upstream; `None` where it needs none.
    fn upstream_credentials(&self) -> Option<UpstreamCredentials> {
        let cache = self.cache()?;
        Some(UpstreamCredentials {
            driver: self.clone(),
            upstream: cache.upstream.clone(),
            variables: cache.login.clone()?,
        })
    }

    /// Returns the step that gives a cache the CA of its upstream; `None` where that is a public one.
    fn upstream_trust(&self) -> Option<UpstreamTrust> {
        let cache = self.cache()?;
        Some(UpstreamTrust {
            driver: self.clone(),
            upstream: cache.upstream.clone(),
            ca: cache.ca.clone()?,
        })
    }

    /// Returns the folder of the registry's images. A cache has one for each registry that it ever was a cache of: what
    /// one of them has under a tag must not answer for another.
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

    fn explain_end(&self) -> Problem {
        match self.cache() {
            // https://github.com/distribution/distribution/issues/4490
            Some(Cache { upstream, .. }) => Problem::new(
                format!("the cache of {upstream} does not start where it can't reach {upstream}"),
                "check its name, its port and its CA (upstream_ca), or leave mirror_of out; \
                 without a network, use mirror_of = \"*\", a registry that images are pushed to",
            ),
            None => Problem::new(
                format!("registry {} ended at once", self.registry.domain()),
                format!(
                    "see its log: docker logs {}, which `up --keep-on-failure` leaves there",
                    Layout::of(&self.cluster).registry(&self.registry.name)
                ),
            ),
        }
    }

    fn delivery(&self) -> Delivery<'_> {
        match self.cache() {
            // Which refuses pushes (405): https://distribution.github.io/distribution/recipes/mirror/
            Some(_) => Delivery::Store(self),
            None => Delivery::Push,
        }
    }
}

/// A push would have made the same files. A cache looks into its store before it asks its upstream for a digest:
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
