//! The API over TLS, and what is told of its certificates.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a test")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{Broker, exchange};
use leveret_management::{CertificateFiles, TlsSource};
use leveret_server::tls::{Tls, TlsConfig};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A certificate that signs itself, in files.
struct Identity {
    certificate: CertificateDer<'static>,
    certfile: PathBuf,
    keyfile: PathBuf,
    _folder: TempDir,
}

fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, label: &str, der: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der)))
            .unwrap();
        path
    };
    let certfile = write("cert.pem", "CERTIFICATE", made.cert.der());
    let keyfile = write("key.pem", "PRIVATE KEY", &made.signing_key.serialize_der());
    Identity { certificate: made.cert.der().clone(), certfile, keyfile, _folder: folder }
}

#[tokio::test]
async fn the_api_is_spoken_over_tls() {
    let identity = identity();
    let tls = Tls::load(&TlsConfig::new(&identity.certfile, &identity.keyfile)).unwrap();
    let certfile = identity.certfile.clone();
    let broker = Broker::start_with(move |_, config| {
        config.listeners[0].tls = Some(TlsSource::new(move || tls.acceptor()));
        let address = config.listeners[0].address;
        config.certificates.push(CertificateFiles {
            protocol: "https".to_owned(),
            address,
            certfile,
            cacertfile: None,
        });
    })
    .await;

    let mut roots = RootCertStore::empty();
    roots.add(identity.certificate.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let ask = async |path: &str| {
        let stream = TcpStream::connect(broker.http()).await.unwrap();
        let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        exchange(stream, "GET", path, "authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n", b"").await
    };

    let reply = ask("/api/whoami").await;
    assert_eq!((reply.status, reply.json()["name"].clone()), (200, json!("guest")));
    let reply = ask("/api/health/checks/protocol-listener/https").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(ask("/api/health/checks/certificate-expiration/1/years").await.json(), json!({"status": "ok"}));
    // It ends in the year 4096.
    let reply = ask("/api/health/checks/certificate-expiration/4000/years").await;
    let body = reply.json();
    assert_eq!((reply.status, &body["reason"]), (503, &json!("Certificates expiring")));
    let expired = &body["expired"][0];
    assert_eq!(
        (&expired["protocol"], &expired["certfile_expires_on"]),
        (&json!("https"), &json!(["4096-01-01 0:00:00"]))
    );

    // Who does not speak TLS is let go.
    let plain = TcpStream::connect(broker.http()).await.unwrap();
    let mut answer = Vec::new();
    let (mut read, mut write) = plain.into_split();
    tokio::io::AsyncWriteExt::write_all(&mut write, b"GET /api/whoami HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    broker.stop().await;
}
