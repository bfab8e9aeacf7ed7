//! From a connection that comes in to the tasks that serve it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use leveret_engine::names::ConnectionId;
use leveret_session::connection::Connection;
use leveret_session::direct::Socket;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::connection::{Connected, Signal};
use crate::listener::{Listener, NotWelcome, Tunnel, Welcomed};
use crate::proxy_protocol::ProxyError;
use crate::reader::Reader;
use crate::server::Shared;
use crate::wire::Wire;
use crate::writer;

/// How long accepting pauses when the system is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long what a connection has left behind may take through its tunnel.
const LAST_BYTES: Duration = Duration::from_secs(5);

/// Accepts connections until it is told to stop.
pub(crate) async fn accept(listener: Listener, shared: Arc<Shared>, stop: CancellationToken) {
    let listener = Arc::new(listener);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) if listener.is_plain() => {
                if let Err(error) = listener.plain(stream, peer).and_then(|welcomed| serve(welcomed, &shared)) {
                    tracing::debug!(%peer, %error, "connection lost at once");
                }
            }
            Ok((stream, peer)) => {
                let (listener, shared, stop) = (Arc::clone(&listener), Arc::clone(&shared), stop.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = welcome(&listener, stream, peer, &shared) => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn welcome(listener: &Listener, stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>) {
    let served = listener.welcome(stream, peer).await.and_then(|welcomed| Ok(serve(welcomed, shared)?));
    match served {
        Ok(()) => {}
        // Proxies and monitors look whether a port is open, and go.
        Err(error @ (NotWelcome::OnlyLooked | NotWelcome::Io(_))) => {
            tracing::debug!(%peer, %error, "connection lost at once")
        }
        Err(NotWelcome::Proxy(ProxyError::Io(error))) => {
            tracing::debug!(%peer, %error, "connection lost in its PROXY header")
        }
        Err(error) => tracing::error!("closing connection from {peer}: {error}"),
    }
}

/// Starts the tasks of a connection.
fn serve(welcomed: Welcomed, shared: &Arc<Shared>) -> io::Result<()> {
    let Welcomed { stream, ends, tls, tunnel } = welcomed;
    let peer = ends.peer;
    if shared.suspended.load(Ordering::SeqCst) {
        return Ok(());
    }
    let id = ConnectionId(shared.next_connection.fetch_add(1, Ordering::Relaxed) + 1);
    let is_loopback = peer.ip().to_canonical().is_loopback();
    let mut machine = Connection::new(&shared.broker, &shared.sessions, id, is_loopback).between(ends);
    if let Some(tls) = tls {
        machine = machine.secured(tls);
    }
    let machine = Box::new(machine);
    let (read_half, write_half) = stream.into_split();
    let connection = join(&machine, write_half);
    shared.connections.insert_new(id, Arc::clone(&connection));
    if shared.shutting_down.load(Ordering::SeqCst) {
        // Those who were told may have been counted before this one.
        connection.tell(Signal::Shutdown);
    }
    let tunnel_ends = tunnel.map(|tunnel| {
        let over = CancellationToken::new();
        shared.tasks.spawn(run_tunnel(tunnel, over.clone()));
        over.drop_guard()
    });
    shared.tasks.spawn(writer::run(Arc::clone(&connection)));
    let reader = Reader::new(machine, read_half, Arc::clone(&connection), shared.clock);
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        tracing::debug!(%peer, id = id.0, "connection accepted");
        reader.run().await;
        drop(tunnel_ends);
        shared.gone(id, &connection);
        tracing::debug!(%peer, id = id.0, "connection closed");
    });
    Ok(())
}

/// Runs a tunnel while its connection is there, and then a little longer: a client that does not read must not keep it.
async fn run_tunnel(mut tunnel: Tunnel, over: CancellationToken) {
    tokio::select! {
        () = &mut tunnel => {}
        () = over.cancelled() => drop(timeout(LAST_BYTES, tunnel).await),
    }
}

/// Joins a machine to the sending side of a socket.
pub(crate) fn join(machine: &Connection, socket: OwnedWriteHalf) -> Arc<Connected> {
    let wire = Arc::new(Wire::new(socket));
    let socket: Arc<dyn Socket> = Arc::<Wire>::clone(&wire);
    machine.outbox().send_through(socket);
    Arc::new(Connected::new(Arc::clone(machine.outbox()), wire))
}
