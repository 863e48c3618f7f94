//! The CNCF distribution registry (`registry:3`, and `registry:2`), over TLS, with its data on a volume.

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::archive::Archive;
use crate::docker::{
    Afterwards, Capabilities, ContainerSpec, Input, Mount, MountSource, NetworkMode, PublishedPort,
    Restart,
};
use crate::layout::{self, Layout};
use crate::oci::proof::Stored;
use crate::spec::{Registry, Spec};

/// Its name among back ends.
pub const NAME: &str = "distribution";
/// What the registry logs once it accepts connections, in both major versions.
pub const LISTENING: &str = "listening on";

/// The registry's container. Its label holds a hash of all the rest, so that a drift is one comparison.
#[must_use]
pub fn container(spec: &Spec, registry: &Registry) -> ContainerSpec {
    let layout = Layout::of(&spec.cluster);
    let port = registry.port.number();
    let mut container = ContainerSpec {
        name: layout.registry(&registry.name),
        image: registry.image.to_string(),
        entrypoint: Vec::new(),
        command: command(registry),
        environment: environment(registry),
        labels: layout.registry_labels(&registry.name),
        mounts: vec![
            volume(layout.secret_volume(&registry.name), layout::SECRET),
            volume(layout.data_volume(&registry.name), layout::DATA),
        ],
        network: NetworkMode::Named {
            name: layout.network(),
            aliases: vec![registry.host.to_string()],
        },
        ports: vec![PublishedPort {
            container: port,
            address: "127.0.0.1".to_owned(),
            host: port,
        }],
        restart: Restart::UnlessStopped,
        capabilities: Capabilities::Default,
        input: Input::Closed,
        afterwards: Afterwards::Keep,
    };
    let hash = fingerprint(&container);
    container.labels.insert(layout::LABEL_SPEC.to_owned(), hash);
    container
}

/// Which settings it starts with: the image's own, or ours where they hold a password. Whether the image's entry point is
/// distribution or a script around it, it takes this: <https://github.com/distribution/distribution-library-image>.
fn command(registry: &Registry) -> Vec<String> {
    let file = || format!("{}/{CONFIG}", layout::SECRET);
    let login = registry.upstream_login();
    login.map_or_else(Vec::new, |_| vec!["serve".to_owned(), file()])
}

/// Settings by environment, which both major versions read over whatever file their image brings:
/// <https://distribution.github.io/distribution/about/configuration/>. Never a secret.
fn environment(registry: &Registry) -> BTreeMap<String, String> {
    let set = |key: &str, value: &str| (format!("REGISTRY_{key}"), value.to_owned());
    let mut all = BTreeMap::from([
        set("HTTP_ADDR", &format!(":{}", registry.port)),
        set(
            "HTTP_TLS_CERTIFICATE",
            &format!("{}/{LEAF}", layout::SECRET),
        ),
        set("HTTP_TLS_KEY", &format!("{}/{KEY}", layout::SECRET)),
        // The image's own file has a debug server on :5001, our default port.
        set("HTTP_DEBUG_ADDR", ""),
        set("STORAGE_FILESYSTEM_ROOTDIRECTORY", &store(registry)),
        set("STORAGE_DELETE_ENABLED", "true"),
    ]);
    if registry.asks_password() {
        all.extend([
            set("AUTH", "htpasswd"),
            set("AUTH_HTPASSWD_REALM", "kindreg"),
            set(
                "AUTH_HTPASSWD_PATH",
                &format!("{}/{HTPASSWD}", layout::SECRET),
            ),
        ]);
    }
    // Which makes it a pull-through cache, and refuses pushes (405):
    // https://distribution.github.io/distribution/recipes/mirror/
    // Where it logs in there, the URL stands beside the password, in a file.
    if let (Some(upstream), None) = (registry.upstream(), registry.upstream_login()) {
        all.extend([set("PROXY_REMOTEURL", &upstream.url())]);
    }
    if registry.upstream_ca.is_some() {
        // A folder of its own, as Go reads all that is in one; then those that it would read anyway, with the public CAs:
        // https://go.dev/src/crypto/x509/root_linux.go
        let folders = format!(
            "{}/{UPSTREAM}:/etc/ssl/certs:/etc/pki/tls/certs",
            layout::SECRET
        );
        all.insert("SSL_CERT_DIR".to_owned(), folders);
    }
    // Version 3 looks for a collector of traces otherwise.
    all.insert("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned());
    all
}

/// Folder of the registry's images. A cache has one for each registry that it ever was a cache of: what one of them has
/// under a tag is not to answer for another.
#[must_use]
pub fn store(registry: &Registry) -> String {
    match registry.upstream() {
        Some(upstream) => format!("{}/{upstream}", layout::DATA),
        None => layout::DATA.to_owned(),
    }
}

/// An image in the registry's store, as an archive for the container's root, and the image's digest: what a push would
/// have made. A cache takes none, and looks into its store before it asks another for a digest:
/// <https://github.com/distribution/distribution/blob/main/registry/storage/paths.go>.
#[must_use]
pub fn in_store(registry: &Registry, repository: &str, image: &Stored) -> (Archive, String) {
    let hash = |content: &Bytes| hex::encode(Sha256::digest(content));
    let store = store(registry);
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

/// File of the CA certificate in the secret volume.
pub const CA: &str = "ca.crt";
/// File of the leaf certificate in the secret volume.
pub const LEAF: &str = "tls.crt";
/// File of the leaf's key in the secret volume.
pub const KEY: &str = "tls.key";
/// File of users and their bcrypt hashes in the secret volume; distribution reads it again when its mtime changes.
pub const HTPASSWD: &str = "htpasswd";
/// File of users and their passwords in the secret volume, for us; distribution never reads it.
pub const CREDENTIALS: &str = "credentials.json";

/// File of settings in the secret volume, where they hold the credentials for the registry that this one is a cache of
/// ([`super::upstream`]); read at start only.
pub const CONFIG: &str = "config.yml";

/// Folder of [`UPSTREAM_CA`] in the secret volume.
const UPSTREAM: &str = "upstream";
/// File of the CA of the registry that this one is a cache of, in the secret volume; read at start only.
pub const UPSTREAM_CA: &str = "upstream/ca.crt";

fn volume(name: String, target: &str) -> Mount {
    Mount {
        source: MountSource::Volume(name),
        target: target.to_owned(),
    }
}

fn fingerprint(container: &ContainerSpec) -> String {
    // Debug output of plain data; it can't fail, and it changes whenever a setting does.
    let mut settings = container.clone();
    settings.labels.remove(layout::LABEL_VERSION);
    hex::encode(Sha256::digest(format!("{settings:?}")))
}
