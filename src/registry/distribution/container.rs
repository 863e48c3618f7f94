//! Builds the settings of the registry's container. Pure.

use std::collections::BTreeMap;

use super::{CONFIG, Driver, HTPASSWD};
use crate::docker::{
    Afterwards, Capabilities, ContainerSpec, Input, Mount, MountSource, NetworkMode, PublishedPort,
    Restart,
};
use crate::layout::{self, Layout};
use crate::spec::{Auth, Serves};

/// The folder of the upstream's CA in the secret volume.
const UPSTREAM: &str = "upstream";

/// Returns the settings of the registry's container, with their hash as a label.
pub(super) fn container(driver: &Driver) -> Result<ContainerSpec, serde_json::Error> {
    let Driver {
        cluster,
        registry,
        settings,
    } = driver;
    let layout = Layout::of(cluster);
    let port = registry.port.number();
    let mut container = ContainerSpec {
        name: layout.registry(&registry.name),
        image: settings.image.to_string(),
        entrypoint: Vec::new(),
        command: command(driver),
        environment: environment(driver),
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
    let labels = &mut container.labels;
    let data = settings.data.label();
    labels.insert(layout::LABEL_DATA.to_owned(), data.to_owned());
    let hash = layout::fingerprint(&container)?;
    container.labels.insert(layout::LABEL_SPEC.to_owned(), hash);
    Ok(container)
}

/// Returns the command: empty for the image's own configuration file, or `serve` with ours if it has a password. It
/// works for images whose entry point is distribution or a script:
/// <https://github.com/distribution/distribution-library-image>.
fn command(driver: &Driver) -> Vec<String> {
    match &driver.settings.serves {
        Serves::Cache(cache) if cache.login.is_some() => {
            vec!["serve".to_owned(), format!("{}/{CONFIG}", layout::SECRET)]
        }
        Serves::Cache(_) | Serves::Pushed { .. } | Serves::Everything => Vec::new(),
    }
}

/// Returns the settings as environment variables, without secrets. In both major versions they override the image's
/// file: <https://distribution.github.io/distribution/about/configuration/>.
fn environment(driver: &Driver) -> BTreeMap<String, String> {
    let set = |key: &str, value: &str| (format!("REGISTRY_{key}"), value.to_owned());
    let secret = |file: &str| format!("{}/{file}", layout::SECRET);
    let mut all = BTreeMap::from([
        set("HTTP_ADDR", &format!(":{}", driver.registry.port)),
        set("HTTP_TLS_CERTIFICATE", &secret(layout::SECRET_LEAF)),
        set("HTTP_TLS_KEY", &secret(layout::SECRET_KEY)),
        // The image's own file starts a debug server on :5001, our default port.
        set("HTTP_DEBUG_ADDR", ""),
        set("STORAGE_FILESYSTEM_ROOTDIRECTORY", &driver.store()),
        set("STORAGE_DELETE_ENABLED", "true"),
    ]);
    match &driver.settings.serves {
        Serves::Pushed {
            auth: Auth::Password,
        } => all.extend([
            set("AUTH", "htpasswd"),
            set("AUTH_HTPASSWD_REALM", "kindreg"),
            set("AUTH_HTPASSWD_PATH", &secret(HTPASSWD)),
        ]),
        Serves::Pushed {
            auth: Auth::Anonymous,
        }
        | Serves::Everything => {}
        Serves::Cache(cache) => {
            // A cache that logs in has the URL in its file, beside the password.
            if cache.login.is_none() {
                all.extend([set("PROXY_REMOTEURL", &cache.upstream.url())]);
            }
            if cache.ca.is_some() {
                // Go reads every file in these folders: ours, which has only this CA, and Go's defaults with the public
                // CAs: https://go.dev/src/crypto/x509/root_linux.go
                let folders = format!("{}:/etc/ssl/certs:/etc/pki/tls/certs", secret(UPSTREAM));
                all.insert("SSL_CERT_DIR".to_owned(), folders);
            }
        }
    }
    // Otherwise version 3 tries to connect to a trace collector.
    all.insert("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned());
    all
}

fn volume(name: String, target: &str) -> Mount {
    Mount {
        source: MountSource::Volume(name),
        target: target.to_owned(),
    }
}
