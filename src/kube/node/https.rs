//! Reaches the API by HTTPS at the published port, with the administrator's certificate.
//!
//! It trusts only the cluster's own CA, and never uses a proxy or follows a redirect.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Certificate, Client, Identity, StatusCode};
use serde::Deserialize;

use super::{Answer, Method, Request};
use crate::docker::{MAX_OUTPUT, PublishedPort};

/// A name that kubeadm puts into every certificate of an API server, whatever its address is.
const NAME: &str = "kubernetes";

/// A client with its credentials, which its `Debug` form does not show.
#[derive(Clone)]
pub(super) struct Https {
    client: Client,
    port: u16,
}

impl std::fmt::Debug for Https {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Https")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Https {
    /// Returns a client from the administrator's kubeconfig, as an archive, and the published port of the control
    /// plane.
    pub(super) fn new(admin: &[u8], port: &PublishedPort) -> Result<Self> {
        let Administrator {
            authority,
            identity,
        } = Administrator::read(admin)?;
        let address = SocketAddr::new(dialled(&port.address), port.host);
        let client = Client::builder()
            .tls_certs_only([Certificate::from_pem(&authority)?])
            .identity(Identity::from_pem(&identity)?)
            .resolve(NAME, address)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(1))
            .timeout(Duration::from_secs(5))
            .build()?;
        Ok(Self {
            client,
            port: port.host,
        })
    }

    /// Sends a request. The error says why there is no answer from this cluster.
    pub(super) async fn ask(&self, request: Request<'_>) -> std::result::Result<Answer, String> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let url = format!("https://{NAME}:{}{}", self.port, request.path);
        let mut asked = self.client.request(method, url);
        if !request.body.is_empty() {
            asked = asked
                .header(CONTENT_TYPE, "application/json")
                .body(request.body.to_vec());
        }
        let because =
            |error: reqwest::Error| format!("{:#}", anyhow::Error::new(error.without_url()));
        let answer = asked.send().await.map_err(because)?;
        let status = answer.status();
        let body = body(answer).await.map_err(because)?;
        let body = body.ok_or("the API server's answer is too large")?;
        Ok(if status.is_success() {
            Answer::Done(body)
        } else {
            refusal(status, &body)
        })
    }
}

/// Returns the body of an answer; `None` if it has more than [`MAX_OUTPUT`] bytes.
async fn body(mut answer: reqwest::Response) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MAX_OUTPUT {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Returns a failure. Its body is a Status, or text if it comes from before the API server's own handlers.
fn refusal(code: StatusCode, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    struct Status {
        reason: Option<String>,
        #[serde(default)]
        message: String,
    }
    let status = serde_json::from_slice::<Status>(body);
    let status = status.unwrap_or_else(|_| Status {
        reason: None,
        message: String::from_utf8_lossy(body).into(),
    });
    let reason = status
        .reason
        .unwrap_or_else(|| code.canonical_reason().unwrap_or_default().replace(' ', ""));
    Answer::Refused {
        reason,
        message: status.message,
    }
}

/// Returns the address to connect to for a published address: the unspecified address means this machine.
fn dialled(published: &str) -> IpAddr {
    match published.parse() {
        Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Ipv6Addr::LOCALHOST.into(),
        Ok(address) if address != IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address,
        _ => Ipv4Addr::LOCALHOST.into(),
    }
}

/// The parts of the administrator's kubeconfig that a client needs, in PEM.
struct Administrator {
    authority: Vec<u8>,
    /// Certificate and key.
    identity: Vec<u8>,
}

impl Administrator {
    fn read(archive: &[u8]) -> Result<Self> {
        let mut archive = tar::Archive::new(archive);
        let mut text = String::new();
        archive
            .entries()?
            .next()
            .context("the archive is empty")??
            .read_to_string(&mut text)?;
        let config: Kubeconfig = serde_yaml::from_str(&text)?;
        let cluster = config
            .clusters
            .into_iter()
            .next()
            .context("no cluster")?
            .cluster;
        let user = config.users.into_iter().next().context("no user")?.user;
        let mut identity = BASE64_STANDARD.decode(user.client_certificate_data)?;
        identity.push(b'\n');
        identity.extend(BASE64_STANDARD.decode(user.client_key_data)?);
        Ok(Self {
            authority: BASE64_STANDARD.decode(cluster.certificate_authority_data)?,
            identity,
        })
    }
}

#[derive(Deserialize)]
struct Kubeconfig {
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedCluster {
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    certificate_authority_data: String,
}

#[derive(Deserialize)]
struct NamedUser {
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate_data: String,
    client_key_data: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ADMIN: &str = "clusters:\n- cluster:\n    certificate-authority-data: QQ==\n    server: https://x\n  name: k\n\
        users:\n- name: a\n  user:\n    client-certificate-data: QQ==\n    client-key-data: QQ==\n";

    fn archive(text: &[u8]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, "admin.conf", text).unwrap();
        tar.into_inner().unwrap()
    }

    #[test]
    fn the_administrator_is_read() {
        let read = Administrator::read(&archive(ADMIN.as_bytes())).unwrap();
        assert_eq!(
            (read.authority, read.identity),
            (b"A".to_vec(), b"A\nA".to_vec())
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_a_node_has_as_its_kubeconfig_never_panics(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            at in 0..ADMIN.len(),
            byte in any::<u8>(),
        ) {
            let _ = Administrator::read(&bytes);
            let _ = Administrator::read(&archive(&bytes));
            let mut text = ADMIN.as_bytes().to_vec();
            text[at] = byte;
            let _ = Administrator::read(&archive(&text));
        }

        #[test]
        fn what_an_api_server_refuses_with_is_a_reason_and_a_message(
            code in 400_u16..600,
            body in prop::collection::vec(any::<u8>(), 0..200),
            reason in any::<String>(),
        ) {
            let code = StatusCode::from_u16(code).unwrap();
            let _ = refusal(code, &body);
            let status = serde_json::json!({"reason": reason, "message": "no"}).to_string();
            let message = "no".to_owned();
            prop_assert_eq!(refusal(code, status.as_bytes()), Answer::Refused { reason, message });
        }
    }
}
