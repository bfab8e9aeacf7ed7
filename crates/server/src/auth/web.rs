//! Asking a server by HTTP.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::config::ClientTls;
use crate::limits::WEB_BODY_BYTES_MAX;
use crate::tls::{self, TlsError};

/// Where systems keep the certificates that they trust.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Names a file with certificates to be trusted in place of the system's.
const ROOTS_VARIABLE: &str = "SSL_CERT_FILE";

/// A client of servers. Its connections are kept for the next question.
#[derive(Clone, Debug)]
pub(super) struct Web {
    client: Client<Connector, Full<Bytes>>,
    timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum WebError {
    #[error("timeout")]
    Timeout,
    #[error("{0}")]
    Failed(String),
}

impl Web {
    pub(super) fn new(tls: &ClientTls, connect: Duration, timeout: Duration) -> Result<Self, TlsError> {
        let connector = Connector { tls: TlsConnector::from(Arc::new(client_config(tls)?)), timeout: connect };
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), timeout })
    }

    /// GET
    pub(super) async fn get(&self, uri: &str) -> Result<(StatusCode, Bytes), WebError> {
        self.send(Request::get(uri).body(Full::default())).await
    }

    /// POST of a form.
    pub(super) async fn post(&self, uri: &str, form: String) -> Result<(StatusCode, Bytes), WebError> {
        let request = Request::post(uri).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Full::from(form))).await
    }

    async fn send(&self, request: http::Result<Request<Full<Bytes>>>) -> Result<(StatusCode, Bytes), WebError> {
        let request = request.map_err(|error| WebError::Failed(error.to_string()))?;
        let answer = async {
            let response = self.client.request(request).await.map_err(|error| WebError::Failed(causes(&error)))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), WEB_BODY_BYTES_MAX).collect().await;
            let body = body.map_err(|error| WebError::Failed(error.to_string()))?;
            Ok((status, body.to_bytes()))
        };
        timeout(self.timeout, answer).await.unwrap_or(Err(WebError::Timeout))
    }
}

/// An error with what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What is to be trusted, and what we show.
pub(super) fn client_config(tls: &ClientTls) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = if tls.verify_peer {
        builder.with_root_certificates(roots(tls)?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    };
    match (&tls.certfile, &tls.keyfile) {
        (Some(certfile), Some(keyfile)) => {
            let key = tls::read_key(keyfile, tls.password.as_deref())?;
            Ok(builder.with_client_auth_cert(tls::certificates(certfile)?, key)?)
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

/// Whom we trust: without any certificate nobody, which is told when https is spoken.
fn roots(tls: &ClientTls) -> Result<RootCertStore, TlsError> {
    if let Some(path) = &tls.cacertfile {
        return tls::roots(path);
    }
    let named = std::env::var_os(ROOTS_VARIABLE).map(PathBuf::from);
    let paths = named.into_iter().chain(SYSTEM_ROOTS.iter().map(PathBuf::from));
    let bytes = paths.filter_map(|path| fs::read(path).ok()).next().unwrap_or_default();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok));
    Ok(roots)
}

/// Trusts anybody, for those who ask for it (`verify_none`).
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Connects to a server, with TLS for https.
#[derive(Clone)]
struct Connector {
    tls: TlsConnector,
    timeout: Duration,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let connected = timeout(connector.timeout, connector.connect(&uri)).await;
            connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(TokioIo::new)
        })
    }
}

impl Connector {
    async fn connect(&self, uri: &Uri) -> io::Result<Stream> {
        let is_secure = uri.scheme_str() == Some("https");
        let host = uri.host().ok_or_else(|| io::Error::other("a URL without a host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let tcp = TcpStream::connect((host, port)).await?;
        tcp.set_nodelay(true)?;
        if !is_secure {
            return Ok(Stream::Plain(tcp));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Stream::Secure(Box::new(self.tls.connect(name, tcp).await?)))
    }
}

/// A connection to a server.
enum Stream {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn with<T>(self: Pin<&mut Self>, act: impl FnOnce(Pin<&mut dyn Both>) -> T) -> T {
        match self.get_mut() {
            Self::Plain(stream) => act(Pin::new(stream)),
            Self::Secure(stream) => act(Pin::new(&mut **stream)),
        }
    }
}

/// What can be read and written.
trait Both: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(context))
    }
}
