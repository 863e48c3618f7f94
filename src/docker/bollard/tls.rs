//! TLS to an engine. Only the CAs of `ca.pem` count, as with the docker program: bollard's own client would trust every
//! public CA as well. <https://docs.docker.com/engine/security/protect-access/>

use std::io;
use std::path::Path;
use std::sync::Arc;

use ::bollard::errors::Error;
use ::bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::docker::address::TlsFiles;

type Result<T> = std::result::Result<T, Error>;

/// Returns a client of the engine at `tcp://HOST:PORT`.
pub(super) fn open(host: &str, files: &TlsFiles, limit: u64) -> Result<Docker> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    let https: HttpsConnector<HttpConnector> = (http, settings(files)?).into();
    // Without idle connections, as bollard's own clients: an engine that restarts closes them unnoticed.
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(https);
    let client = Arc::new(client);
    let send = move |request: BollardRequest| {
        let client = Arc::clone(&client);
        let answer = async move { client.request(request).await.map_err(Error::from) };
        Box::pin(answer) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
    };
    let address = host.replacen("tcp://", "https://", 1);
    Docker::connect_with_custom_transport(send, Some(address), limit, API_DEFAULT_VERSION)
}

/// Returns the settings: the CAs of `ca.pem`, and the client's certificate if there is one.
fn settings(files: &TlsFiles) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for ca in certificates(&files.ca())? {
        roots.add(ca)?;
    }
    let settings = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let (cert, key) = (files.cert(), files.key());
    if !cert.exists() && !key.exists() {
        return Ok(settings.with_no_client_auth());
    }
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|cause| unusable(&key, &cause))?;
    Ok(settings.with_client_auth_cert(certificates(&cert)?, private)?)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|cause| unusable(path, &cause))?;
    if read.is_empty() {
        return Err(unusable(path, &"no certificate in it"));
    }
    Ok(read)
}

fn unusable(path: &Path, cause: &dyn std::fmt::Display) -> Error {
    io::Error::other(format!("can't use {}: {cause}", path.display())).into()
}
