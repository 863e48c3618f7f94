//! TLS to an engine: only the CA in `ca.pem` counts, whatever the machine trusts besides.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use kindreg::internal::pki::{Identity, Names, issue};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use secrecy::ExposeSecret;

use crate::cli::{Answer, kindreg};

fn identity() -> Identity {
    let names = Names::new(["engine.test"], ["127.0.0.1".parse().unwrap()]);
    issue("engine", &names, time::OffsetDateTime::now_utc()).unwrap()
}

/// Starts an engine that knows its version alone, for one connection, and returns its port.
fn engine(identity: &Identity) -> u16 {
    let chain = CertificateDer::from_pem_slice(identity.leaf_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.expose_secret().as_bytes());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key.unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(tls)).unwrap();
        let mut stream = StreamOwned::new(connection, client);
        let mut asked = [0; 4096];
        // A client that refuses the certificate ends the connection.
        if stream.read(&mut asked).is_ok_and(|read| read > 0) {
            let body = r#"{"ApiVersion":"1.44","Version":"29.0.0"}"#;
            let length = body.len();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            let answer = format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).unwrap();
            stream.flush().unwrap();
        }
    });
    port
}

/// Runs `kindreg list` against an engine, where `ca.pem` and the machine's trusted CAs are these.
fn list(port: u16, ca: &str, machine: &str) -> Answer {
    let run = kindreg(&["list"]).file("tls/ca.pem", ca);
    let run = run.file("machine.pem", machine);
    let path = |name: &str| run.folder.path().join(name).display().to_string();
    let (tls, machine) = (path("tls"), path("machine.pem"));
    run.env("DOCKER_HOST", &format!("tcp://127.0.0.1:{port}"))
        .env("DOCKER_TLS_VERIFY", "1")
        .env("DOCKER_CERT_PATH", &tls)
        .env("SSL_CERT_FILE", &machine)
        .run()
}

#[test]
fn an_engine_is_trusted_by_ca_pem_alone() {
    let (ours, other) = (identity(), identity());
    let answer = list(engine(&ours), &ours.ca_pem, &other.ca_pem);
    // It answered: what comes next is the search for kind.
    assert!(answer.stderr.contains("kind"), "{answer:?}");
    assert!(!answer.stderr.contains("UnknownIssuer"), "{answer:?}");

    let answer = list(engine(&ours), &other.ca_pem, &ours.ca_pem);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.stderr.contains("UnknownIssuer"), "{answer:?}");
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let identity = identity();
    let answer = list(engine(&identity), "nonsense", "");
    assert!(answer.stderr.contains("tls/ca.pem"), "{answer:?}");
    assert_ne!(answer.code, 0);
}
