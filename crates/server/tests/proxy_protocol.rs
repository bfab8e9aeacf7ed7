//! Connections that come through a proxy which says where they are from.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use leveret_server::tls::TlsConfig;
use leveret_server::{ListenerConfig, ServerConfig};
use rustls::version::TLS13;
use support::certificates::Authority;
use support::client::{tcp, tls};
use support::{Client, Reply, Running, any_port, config};

const FROM_AFAR: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 5672\r\n";

/// The same in version 2.
const FROM_AFAR_BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xC0\0\x02\x07\xC0\0\x02\x01\x9C\x40\x16\x28";

/// From this machine, as a proxy on it says.
const FROM_HERE: &[u8] = b"PROXY TCP4 127.0.0.1 127.0.0.1 40000 5672\r\n";

/// The proxy looks whether we are there.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn running() -> Running {
    Running::start(&ServerConfig { proxy_protocol: true, ..config() })
}

fn client(address: SocketAddr, header: &[u8]) -> Client {
    let mut stream = tcp(address);
    stream.write_all(header).unwrap();
    Client::over(Box::new(stream))
}

#[test]
fn the_client_is_known_by_its_own_address() {
    let running = running();
    let here = client(running.address(), FROM_HERE).plain("guest", "guest");
    assert_eq!(here, Reply::Ok);
    // Guest may log in from this machine only: the proxy's address does not help.
    for header in [FROM_AFAR, FROM_AFAR_BINARY] {
        let afar = client(running.address(), header).plain("guest", "guest");
        assert!(matches!(afar, Reply::Closed(403, _)), "{afar:?}");
    }
}

#[test]
fn connections_are_named_after_the_client() {
    let running = running();
    running.server.broker().set_loopback_users([]);
    for header in [FROM_AFAR, FROM_AFAR_BINARY] {
        let mut client = client(running.address(), header);
        assert_eq!(client.plain("guest", "guest"), Reply::Ok);
        let briefs = running.server.node().connection_briefs();
        assert!(briefs.iter().any(|brief| &*brief.name == "192.0.2.7:40000 -> 192.0.2.1:5672"), "{briefs:?}");
        client.close();
    }
}

#[test]
fn a_connection_of_the_proxy_itself_keeps_its_addresses() {
    let running = running();
    for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
        assert_eq!(client(running.address(), header).plain("guest", "guest"), Reply::Ok);
    }
}

#[test]
fn a_header_may_come_octet_by_octet() {
    let running = running();
    let mut stream = tcp(running.address());
    for octet in FROM_HERE {
        stream.write_all(&[*octet]).unwrap();
    }
    assert_eq!(Client::over(Box::new(stream)).plain("guest", "guest"), Reply::Ok);
}

#[test]
fn what_is_no_header_closes_the_connection() {
    let running = running();
    for garbage in [&b"AMQP\0\0\x09\x01AMQP\0\0\x09\x01"[..], b"PROXY TCP9 1 2 3 4\r\n", &[b'x'; 300]] {
        let mut stream = tcp(running.address());
        stream.write_all(garbage).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{answer:?}");
    }
}

#[test]
fn tls_begins_behind_the_header() {
    let authority = Authority::new();
    let identity = authority.server("server");
    let running = Running::start(&ServerConfig {
        proxy_protocol: true,
        listeners: vec![ListenerConfig::tls(any_port())],
        tls: Some(TlsConfig::new(&identity.certfile, &identity.keyfile)),
        ..ServerConfig::default()
    });
    for (header, is_welcome) in [(FROM_HERE, true), (FROM_AFAR_BINARY, false)] {
        let mut stream = tcp(running.address());
        stream.write_all(header).unwrap();
        let stream = tls(stream, &authority.client_config(None, &[&TLS13])).unwrap();
        let reply = Client::over(Box::new(stream)).plain("guest", "guest");
        assert_eq!(reply == Reply::Ok, is_welcome, "{reply:?}");
    }
}
