//! Listening: TCP with and without TLS, and the unix socket.

use std::fs::Permissions;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use http::Uri;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use crate::auth::Peer;
use crate::config::{HttpListener, TlsSource};
use crate::limits::{ACCEPT_PAUSE, GOODBYE, HEAD_TIMEOUT, TLS_HANDSHAKE};

/// What listeners have in common.
#[derive(Clone, Debug)]
pub(crate) struct Serving {
    pub(crate) router: Router,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Most connections to each address at a time.
    pub(crate) connections_max: usize,
}

/// A place among the connections to an address; it is free again when this is dropped.
type Place = OwnedSemaphorePermit;

impl Serving {
    /// Listens on an address until it is told to stop. Gives back where.
    pub(crate) async fn tcp(&self, listener: &HttpListener) -> io::Result<SocketAddr> {
        let socket = bind(listener.address, listener.backlog)?;
        let address = socket.local_addr()?;
        let (serving, tls) = (self.clone(), listener.tls.clone());
        let places = Arc::new(Semaphore::new(self.connections_max));
        self.tasks.spawn(async move {
            while let Some(accepted) = serving.unless_stopped(accept(&socket, &places)).await {
                match accepted {
                    Ok((stream, from, place)) => serving.take(stream, from, tls.clone(), place),
                    Err(error) => pause(&error).await,
                }
            }
        });
        Ok(address)
    }

    /// Listens on a unix socket, which only our own user can open, in place of one that a broker left behind.
    pub(crate) fn unix(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        let (serving, path) = (self.clone(), path.to_owned());
        self.tasks.spawn(async move {
            while let Some(accepted) = serving.unless_stopped(socket.accept()).await {
                match accepted {
                    Ok((stream, _)) => {
                        serving.tasks.spawn(serving.clone().converse(stream, Peer::Socket));
                    }
                    Err(error) => pause(&error).await,
                }
            }
            // It may be gone already, with its directory.
            let _ = std::fs::remove_file(path);
        });
        Ok(())
    }

    async fn unless_stopped<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = self.stop.cancelled() => None,
            done = what => Some(done),
        }
    }

    fn take(&self, stream: TcpStream, from: SocketAddr, tls: Option<TlsSource>, place: Place) {
        let peer = Peer::Address(from.ip());
        // Answers are small and wanted at once; without it they only come later.
        let _ = stream.set_nodelay(true);
        let serving = self.clone();
        self.tasks.spawn(async move {
            let _place = place;
            let Some(tls) = tls else { return serving.converse(stream, peer).await };
            match timeout(TLS_HANDSHAKE, tls.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => serving.converse(stream, peer).await,
                Ok(Err(error)) => tracing::debug!(%from, %error, "no TLS with an HTTP client"),
                Err(_) => tracing::debug!(%from, "an HTTP client does not go on with its TLS handshake"),
            }
        });
    }

    async fn converse(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer) {
        let router = self.router;
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut router = router.clone();
            router.call(prepared(request, peer))
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                timeout(GOODBYE, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an HTTP connection ended");
        }
    }
}

/// A request as the router wants it: with where it comes from, and without a slash at the end of its path.
fn prepared(request: hyper::Request<Incoming>, peer: Peer) -> Request {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer);
    if let Some(uri) = without_last_slash(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn without_last_slash(uri: &Uri) -> Option<Uri> {
    let shorter = uri.path().strip_suffix('/').filter(|path| !path.is_empty())?;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{shorter}{query}").parse().ok()
}

/// The next client, once there is a place for it: who comes before that waits in the system's queue.
async fn accept(socket: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, SocketAddr, Place)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, from) = socket.accept().await?;
    Ok((stream, from, place))
}

/// All addresses of this machine are those of IPv4 where there are no others.
fn bind(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    match listen(address, backlog) {
        Err(error)
            if address.ip().is_unspecified() && address.is_ipv6() && error.kind() != io::ErrorKind::AddrInUse =>
        {
            listen((Ipv4Addr::UNSPECIFIED, address.port()).into(), backlog)
        }
        bound => bound,
    }
}

fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "cannot accept an HTTP connection");
    sleep(ACCEPT_PAUSE).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_at_the_end_is_ignored() {
        for (given, expected) in [
            ("/api/queues/", Some("/api/queues")),
            ("/api/queues/%2F/?page=1", Some("/api/queues/%2F?page=1")),
            ("/api/queues", None),
            ("/", None),
        ] {
            let uri = without_last_slash(&given.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(uri.as_deref(), expected, "{given}");
        }
    }
}
