//! A registry that is not kindreg's: on another network, by a CA of its own, with users of its own.

use std::fs;
use std::path::PathBuf;

use kindreg::internal::credentials::RegistryCredentials;
use kindreg::internal::oci::proof::proof_image;
use kindreg::internal::pki::{Names, issue};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::scene::scratch;
use super::world::{attempt, docker};

/// Its host name.
pub(crate) const HOST: &str = "nexus.company.internal";
/// An image in it, which runs and ends.
pub(crate) const IMAGE: &str = "team/base:1";

/// The company's registry. Removed when it is dropped.
pub(crate) struct Company {
    pub(crate) container: &'static str,
    pub(crate) port: u16,
    /// The address of the engine's own bridge, which every network reaches.
    pub(crate) address: String,
    folder: tempfile::TempDir,
}

/// A user of it.
pub(crate) fn user(name: &str) -> RegistryCredentials {
    RegistryCredentials::given(name, format!("{name}'s > password?")).unwrap()
}

impl Company {
    /// Starts it with these users; with none it asks for no password.
    #[track_caller]
    pub(crate) fn start(container: &'static str, port: u16, users: &[&str]) -> Self {
        attempt("docker", &["rm", "-f", "-v", container]);
        let gateway = "{{(index .IPAM.Config 0).Gateway}}";
        let address = docker(&["network", "inspect", "bridge", "--format", gateway]);
        let address = address.trim().to_owned();
        let folder = scratch();
        let own = [address.parse().unwrap()];
        let names = Names::new([HOST, "mirror.company.internal"], own);
        let identity = issue("company", &names, OffsetDateTime::now_utc()).unwrap();
        let line = |name: &&str| {
            let password = user(name).password().expose_secret().to_owned();
            format!("{name}:{}", bcrypt::hash(password, 4).unwrap())
        };
        let htpasswd = users.iter().map(line).collect::<Vec<_>>().join("\n");
        let files = folder.path().join("tls");
        fs::create_dir(&files).unwrap();
        for (name, content) in [
            ("tls.crt", &*identity.leaf_pem),
            ("tls.key", identity.key.expose_secret()),
            ("htpasswd", &htpasswd),
        ] {
            fs::write(files.join(name), content).unwrap();
        }
        fs::write(folder.path().join("company-ca.pem"), &identity.ca_pem).unwrap();
        let publish = format!("{address}:{port}:{port}");
        let mut arguments = vec!["create", "--name", container, "-p", &publish];
        let listen = format!("REGISTRY_HTTP_ADDR=:{port}");
        let mut settings = vec![
            &*listen,
            "REGISTRY_HTTP_DEBUG_ADDR=",
            "REGISTRY_HTTP_TLS_CERTIFICATE=/tls/tls.crt",
            "REGISTRY_HTTP_TLS_KEY=/tls/tls.key",
            "OTEL_TRACES_EXPORTER=none",
        ];
        if !users.is_empty() {
            settings.extend([
                "REGISTRY_AUTH=htpasswd",
                "REGISTRY_AUTH_HTPASSWD_REALM=company",
                "REGISTRY_AUTH_HTPASSWD_PATH=/tls/htpasswd",
            ]);
        }
        for setting in settings {
            arguments.extend(["-e", setting]);
        }
        let image = std::env::var("KINDREG_REGISTRY_IMAGE").unwrap();
        arguments.push(&image);
        docker(&arguments);
        docker(&["cp", files.to_str().unwrap(), &format!("{container}:/tls")]);
        docker(&["start", container]);
        let company = Self {
            container,
            port,
            address,
            folder,
        };
        company.push(users.first().copied());
        company
    }

    /// Its name, with its port.
    pub(crate) fn domain(&self) -> String {
        format!("{HOST}:{}", self.port)
    }

    /// An image of theirs, pushed by crane. It runs and ends.
    #[track_caller]
    fn push(&self, name: Option<&str>) {
        let architecture = docker(&["info", "--format", "{{.Architecture}}"]);
        let reference = format!("{}:{}/{IMAGE}", self.address, self.port);
        let architecture = architecture.trim().parse().unwrap();
        let image = proof_image(architecture, &reference, b"theirs").unwrap();
        let archive = self.folder.path().join("image.tar");
        fs::write(&archive, image.archive).unwrap();
        let domain = format!("{}:{}", self.address, self.port);
        let config = self.config("crane", &name.map_or(json!({}), |name| auth(&domain, name)));
        let script = "for try in 1 2 3 4 5 6 7 8 9 10; do crane push \"$1\" \"$2\" && exit; sleep 0.5; done; exit 1";
        let said = attempt(
            "env",
            &[
                &format!("DOCKER_CONFIG={}", config.display()),
                &format!("SSL_CERT_FILE={}", self.path("company-ca.pem").display()),
                "sh",
                "-c",
                script,
                "push",
                archive.to_str().unwrap(),
                &reference,
            ],
        );
        said.good();
    }

    /// A file of the test's.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder with such a docker config.
    pub(crate) fn config(&self, name: &str, config: &Value) -> PathBuf {
        let folder = self.path(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
        folder
    }

    /// A `kindreg.toml` beside the CA, with further settings of the external registry.
    pub(crate) fn file(&self, before: &str, settings: &str) -> PathBuf {
        let file = self.path("kindreg.toml");
        let (port, address) = (self.port, &self.address);
        let text = format!(
            "{before}[registry.company]\nbackend = \"external\"\nhost = \"{HOST}\"\nport = {port}\n\
             address = \"{address}\"\nca = \"company-ca.pem\"\n{settings}"
        );
        fs::write(&file, text).unwrap();
        file
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        attempt("docker", &["rm", "-f", "-v", self.container]);
    }
}

/// The auths of a docker config with one user.
pub(crate) fn auth(domain: &str, name: &str) -> Value {
    json!({"auths": {domain: {"auth": user(name).basic().expose_secret()}}})
}
