//! A registry that asks for Bearer tokens, and the small server that gives them: as a company's registry does.
//!
//! The protocol: <https://distribution.github.io/distribution/spec/auth/token/>. Both stand on the engine's host, under
//! one certificate, where nodes reach them at the gateway of any network.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use kindreg::internal::pki::{Identity, Names, issue};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, SigningKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::world::{attempt, docker};

const SERVICE: &str = "e2e-registry";
const ISSUER: &str = "e2e-tokens";

/// What the server knows and does.
#[derive(Debug)]
struct Office {
    user: String,
    password: Mutex<String>,
    key: KeyPair,
    certificate: Vec<u8>,
    given: AtomicUsize,
}

/// A server that gives tokens over TLS, until it is stopped.
#[derive(Debug)]
pub(crate) struct TokenServer {
    office: Arc<Office>,
    tls: Arc<ServerConfig>,
    /// Where it listens, and the name by which clients find it.
    address: String,
    name: String,
    running: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

/// The address at which containers of any network reach the engine's host.
#[track_caller]
fn gateway() -> String {
    let template = "{{(index .IPAM.Config 0).Gateway}}";
    let said = docker(&["network", "inspect", "bridge", "--format", template]);
    said.trim().to_owned()
}

/// The settings of a TLS server with this identity.
#[track_caller]
pub(super) fn tls(identity: &Identity) -> ServerConfig {
    let chain = CertificateDer::from_pem_slice(identity.leaf_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.expose_secret().as_bytes());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key.unwrap())
        .unwrap()
}

impl TokenServer {
    /// A server for one user, at a port of the engine's host; and the identity that it shares with a registry at
    /// `host`.
    #[track_caller]
    pub(crate) fn start(host: &str, port: u16, user: &str, password: &str) -> (Self, Identity) {
        let gateway = gateway();
        let ips = [gateway.parse().unwrap(), "127.0.0.1".parse().unwrap()];
        let names = Names::new([host, "localhost"], ips);
        let identity = issue("e2e", &names, time::OffsetDateTime::now_utc()).unwrap();
        let tls = tls(&identity);
        // What signs tokens need not be what speaks TLS.
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let office = Office {
            user: user.to_owned(),
            password: Mutex::new(password.to_owned()),
            key,
            certificate: certificate.der().to_vec(),
            given: AtomicUsize::new(0),
        };
        let mut server = Self {
            office: Arc::new(office),
            tls: Arc::new(tls),
            address: format!("{gateway}:{port}"),
            name: format!("{host}:{port}"),
            running: None,
        };
        server.go_on();
        (server, identity)
    }

    /// The URL that a registry names as its realm. By a name: crane refuses private addresses.
    pub(crate) fn realm(&self) -> String {
        format!("https://{}/token", self.name)
    }

    /// The address of the engine's host, where it listens.
    pub(crate) fn gateway(&self) -> &str {
        self.address.split(':').next().unwrap()
    }

    /// How many tokens it gave.
    pub(crate) fn given(&self) -> usize {
        self.office.given.load(Ordering::SeqCst)
    }

    /// Takes another password from now on.
    pub(crate) fn expect(&self, password: &str) {
        password.clone_into(&mut self.office.password.lock().unwrap());
    }

    /// Listens again.
    #[track_caller]
    pub(crate) fn go_on(&mut self) {
        let listener = TcpListener::bind(&self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let end = Arc::new(AtomicBool::new(false));
        let (office, tls, ended) = (
            Arc::clone(&self.office),
            Arc::clone(&self.tls),
            Arc::clone(&end),
        );
        let thread = spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                let Ok((stream, _)) = listener.accept() else {
                    sleep(Duration::from_millis(10));
                    continue;
                };
                let (office, tls) = (Arc::clone(&office), Arc::clone(&tls));
                // A client that goes away, or does not trust us, is none of our business.
                spawn(move || serve(&office, tls, stream).ok());
            }
        });
        self.running = Some((end, thread));
    }

    /// Listens no more: who asks is refused the connection.
    pub(crate) fn stop(&mut self) {
        if let Some((end, thread)) = self.running.take() {
            end.store(true, Ordering::SeqCst);
            thread.join().unwrap();
        }
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One request, one answer.
fn serve(office: &Office, tls: Arc<ServerConfig>, stream: TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let connection = ServerConnection::new(tls).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && head.len() < 65_536 {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    // All of it: a client that is still sending would find the connection broken, and lose the answer.
    let length = header(&head, "content-length").and_then(|length| length.parse().ok());
    let length: u16 = length.unwrap_or(0);
    stream.read_exact(&mut vec![0; length.into()])?;
    let (status, body) = office.answer(&head);
    let body = body.to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}

impl Office {
    fn answer(&self, head: &str) -> (&'static str, Value) {
        let mut words = head.lines().next().unwrap_or_default().split(' ');
        let (method, target) = (words.next(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path != "/token" {
            return ("404 Not Found", json!({}));
        }
        if method != Some("GET") {
            // Clients that try OAuth first, as containerd does, then ask this way.
            return ("405 Method Not Allowed", json!({}));
        }
        let basic = header(head, "authorization").and_then(|value| value.strip_prefix("Basic "));
        let wanted = format!("{}:{}", self.user, self.password.lock().unwrap());
        if basic != Some(STANDARD.encode(wanted).as_str()) {
            return (
                "401 Unauthorized",
                json!({"errors": [{"code": "UNAUTHORIZED"}]}),
            );
        }
        let scopes = query
            .split('&')
            .filter_map(|pair| pair.strip_prefix("scope="));
        let scopes: Vec<String> = scopes.map(decoded).collect();
        if scopes.iter().any(|scope| scope.contains(":e2e/forbidden:")) {
            return ("403 Forbidden", json!({"errors": [{"code": "DENIED"}]}));
        }
        self.given.fetch_add(1, Ordering::SeqCst);
        let token = self.token(&scopes);
        (
            "200 OK",
            json!({"token": token, "access_token": token, "expires_in": 300}),
        )
    }

    /// A token for everything that was asked for, but for what is somebody else's.
    fn token(&self, scopes: &[String]) -> String {
        let mut access = Vec::new();
        for scope in scopes {
            // repository:e2e/app:pull,push
            let mut parts = scope.splitn(3, ':');
            if let (Some(kind), Some(name), Some(actions)) =
                (parts.next(), parts.next(), parts.next())
                && name != "e2e/others"
            {
                let actions: Vec<&str> = actions.split(',').collect();
                access.push(json!({"type": kind, "name": name, "actions": actions}));
            }
        }
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let claims = json!({"iss": ISSUER, "sub": self.user, "aud": SERVICE, "exp": now + 300, "nbf": now - 10,
                            "iat": now, "jti": now.to_string(), "access": access});
        let header =
            json!({"typ": "JWT", "alg": "RS256", "x5c": [STANDARD.encode(&self.certificate)]});
        let part = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A header of a request.
fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then_some(value))
}

/// A value of a query without its percent signs.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        plain.push(u8::from_str_radix(code, 16).map_or('?', char::from));
        plain.push_str(rest);
    }
    plain
}

/// A registry on the engine's host that sends its clients for a token. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct BearerRegistry {
    name: String,
    port: u16,
}

impl BearerRegistry {
    /// A registry of that name at a port of the engine's host, which trusts the tokens of a server.
    #[track_caller]
    pub(crate) fn start(name: &str, port: u16, server: &TokenServer, identity: &Identity) -> Self {
        let registry = Self {
            name: name.to_owned(),
            port,
        };
        registry.create(&server.realm(), server, identity);
        registry
    }

    /// The same registry with another realm; it forgets its images.
    #[track_caller]
    pub(crate) fn sends_to(&self, realm: &str, server: &TokenServer, identity: &Identity) {
        self.remove();
        self.create(realm, server, identity);
    }

    #[track_caller]
    fn create(&self, realm: &str, server: &TokenServer, identity: &Identity) {
        let image = std::env::var("KINDREG_REGISTRY_IMAGE").unwrap();
        let settings = [
            format!("REGISTRY_HTTP_ADDR=:{}", self.port),
            "REGISTRY_HTTP_DEBUG_ADDR=".to_owned(),
            "REGISTRY_HTTP_TLS_CERTIFICATE=/e2e/tls.crt".to_owned(),
            "REGISTRY_HTTP_TLS_KEY=/e2e/tls.key".to_owned(),
            "REGISTRY_AUTH=token".to_owned(),
            format!("REGISTRY_AUTH_TOKEN_REALM={realm}"),
            format!("REGISTRY_AUTH_TOKEN_SERVICE={SERVICE}"),
            format!("REGISTRY_AUTH_TOKEN_ISSUER={ISSUER}"),
            "REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE=/e2e/tokens.crt".to_owned(),
        ];
        let mut create = vec!["create", "--name", &self.name, "--network", "host"];
        create.extend(settings.iter().flat_map(|setting| ["-e", setting]));
        create.push(&image);
        docker(&create);
        let folder = super::scene::scratch();
        let tokens = pem(&server.office.certificate);
        let key = identity.key.expose_secret();
        for (name, text) in [
            ("tls.crt", identity.leaf_pem.as_str()),
            ("tls.key", key),
            ("tokens.crt", &tokens),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let from = format!("{}/.", folder.path().display());
        docker(&["cp", &from, &format!("{}:/e2e", self.name)]);
        docker(&["start", &self.name]);
        self.listens();
    }

    #[track_caller]
    fn listens(&self) {
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            sleep(Duration::from_millis(100));
        }
        panic!(
            "{} does not listen: {}",
            self.name,
            attempt("docker", &["logs", &self.name]).all()
        );
    }

    fn remove(&self) {
        attempt("docker", &["rm", "-f", "-v", &self.name]);
    }
}

impl Drop for BearerRegistry {
    fn drop(&mut self) {
        self.remove();
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<String> = text
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}
