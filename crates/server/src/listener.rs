//! The listening sockets, and what happens to a connection before it is served: PROXY header and TLS.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use leveret_session::about::Ends;
use leveret_session::login::TlsFacts;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::config::{ListenerConfig, ServerConfig, SocketOptions};
use crate::error::Error;
use crate::node::ListenerFacts;
use crate::proxy_protocol::{self, Proxied, ProxyError};
use crate::tls::{Tls, tunnel};

/// A socket that is listened on.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    options: SocketOptions,
    tls: Option<Tls>,
    proxy_protocol: bool,
    /// How long PROXY header and TLS may take.
    handshake_timeout: Duration,
}

/// A connection that can be served.
pub(crate) struct Welcomed {
    pub(crate) stream: TcpStream,
    pub(crate) ends: Ends,
    pub(crate) tls: Option<TlsFacts>,
    /// What has to run beside it.
    pub(crate) tunnel: Option<Tunnel>,
}

/// Passes bytes on between a client and a connection.
pub(crate) type Tunnel = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Why a connection is not served.
#[derive(Debug, Error)]
pub(crate) enum NotWelcome {
    /// Somebody looked whether we are there.
    #[error("closed before it began")]
    OnlyLooked,
    #[error("{0}")]
    Proxy(ProxyError),
    #[error("TLS handshake failed: {0}")]
    Tls(io::Error),
    #[error("TLS handshake or PROXY header took longer than {0:?}")]
    Late(Duration),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Listener {
    /// Binds all listeners of a server, with the TLS that those of them have who speak it.
    pub(crate) fn bind_all(config: &ServerConfig) -> Result<(Vec<Self>, Option<Tls>), Error> {
        let tls = config.tls.as_ref().map(Tls::load).transpose()?;
        let bind = |listener: &ListenerConfig| Self::bind(config, listener, tls.as_ref());
        let listeners = config.listeners.iter().map(bind).collect::<Result<_, _>>()?;
        Ok((listeners, tls))
    }

    fn bind(config: &ServerConfig, listener: &ListenerConfig, tls: Option<&Tls>) -> Result<Self, Error> {
        let tls = match (listener.tls, tls) {
            (false, _) => None,
            (true, Some(tls)) => Some(tls.clone()),
            (true, None) => return Err(Error::NoCertificate { address: listener.address }),
        };
        let options = config.socket.clone();
        let socket = listen(listener.address, &options)?;
        let address = socket.local_addr()?;
        let proxy_protocol = config.proxy_protocol;
        let handshake_timeout = config.tls_handshake_timeout;
        Ok(Self { socket, address, options, tls, proxy_protocol, handshake_timeout })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it is shown.
    pub(crate) fn facts(&self) -> ListenerFacts {
        let protocol = if self.tls.is_some() { "amqp/ssl" } else { "amqp" };
        ListenerFacts { protocol, ip: self.address.ip(), port: self.address.port() }
    }

    /// What it is called in the log.
    pub(crate) fn kind(&self) -> &'static str {
        if self.tls.is_some() { "TLS (SSL)" } else { "TCP" }
    }

    /// Whether a connection is served at once.
    pub(crate) fn is_plain(&self) -> bool {
        self.tls.is_none() && !self.proxy_protocol
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.socket.accept().await
    }

    /// A connection that is served at once.
    pub(crate) fn plain(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<Welcomed> {
        self.prepare(&stream)?;
        let ends = Ends { peer, host: stream.local_addr()? };
        Ok(Welcomed { stream, ends, tls: None, tunnel: None })
    }

    /// A connection whose PROXY header and TLS handshake are done.
    pub(crate) async fn welcome(&self, stream: TcpStream, peer: SocketAddr) -> Result<Welcomed, NotWelcome> {
        let welcome = timeout(self.handshake_timeout, self.shake_hands(stream, peer));
        welcome.await.unwrap_or(Err(NotWelcome::Late(self.handshake_timeout)))
    }

    async fn shake_hands(&self, mut stream: TcpStream, peer: SocketAddr) -> Result<Welcomed, NotWelcome> {
        self.prepare(&stream)?;
        let mut ends = Ends { peer, host: stream.local_addr()? };
        if stream.peek(&mut [0]).await? == 0 {
            return Err(NotWelcome::OnlyLooked);
        }
        if self.proxy_protocol
            && let Some(Proxied { source, destination }) =
                proxy_protocol::read(&mut stream).await.map_err(NotWelcome::Proxy)?
        {
            ends = Ends { peer: source, host: destination };
        }
        let Some(tls) = &self.tls else { return Ok(Welcomed { stream, ends, tls: None, tunnel: None }) };
        let stream = tls.acceptor().accept(stream).await.map_err(NotWelcome::Tls)?;
        let facts = tls.facts(stream.get_ref().1);
        let (stream, tunnel) = tunnel(stream)?;
        Ok(Welcomed { stream, ends, tls: Some(facts), tunnel: Some(Box::pin(tunnel)) })
    }

    /// Sets an accepted connection up: small frames go out at once, dead peers are found even without heartbeats.
    fn prepare(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(self.options.nodelay)?;
        let socket = SockRef::from(stream);
        if let Some(bytes) = self.options.send_buffer_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.options.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.set_keepalive(self.options.keepalive)
    }
}

/// Listens on `address`; the IPv6 wildcard takes IPv4 too, and stands for the IPv4 one where there is no IPv6.
fn listen(address: SocketAddr, options: &SocketOptions) -> Result<TcpListener, Error> {
    let bound = match bind(address, options) {
        Err(error) if is_wildcard_v6(address) && error.kind() != io::ErrorKind::AddrInUse => {
            bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()), options)
        }
        bound => bound,
    };
    bound.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => Error::PortTaken { address },
        _ => Error::Listen { address, source },
    })
}

fn is_wildcard_v6(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V6(ip) if ip.is_unspecified())
}

fn bind(address: SocketAddr, options: &SocketOptions) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if is_wildcard_v6(address) {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    TcpListener::from_std(socket.into())
}
