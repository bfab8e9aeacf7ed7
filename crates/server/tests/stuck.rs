//! A client that reads nothing, and whose machine is still there. In a file of its own, since it counts the open files of the
//! process.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::time::{Duration, Instant};

use leveret_codec::method::BasicGet;
use leveret_server::tls::TlsConfig;
use leveret_server::{ListenerConfig, ServerConfig};
use rustls::version::TLS13;
use support::certificates::Authority;
use support::{Client, Reply, Running, any_port};

/// More than the buffers on the way take.
const MESSAGES: usize = 100;

#[test]
fn sockets_of_clients_that_read_nothing_are_closed() {
    let authority = Authority::new();
    let identity = authority.server("server");
    let running = Running::start(&ServerConfig {
        listeners: vec![ListenerConfig::tcp(any_port()), ListenerConfig::tls(any_port())],
        tls: Some(TlsConfig::new(&identity.certfile, &identity.keyfile)),
        ..ServerConfig::default()
    });
    let node = running.server.node();
    let mut publisher = Client::tcp(running.address());
    assert_eq!(publisher.plain("guest", "guest"), Reply::Ok);
    assert_eq!(publisher.open_channel(), Reply::Ok);
    assert_eq!(publisher.declare("q"), Reply::Ok);
    for _ in 0..2 * MESSAGES {
        publisher.publish("q", &[7; 250_000]);
    }
    assert_eq!(publisher.declare("q"), Reply::Ok, "all is published");
    let config = authority.client_config(None, &[&TLS13]);
    let [plain, secure] = running.server.addresses() else { panic!() };
    let before = node.fds().used;
    let mut clients = [Client::tcp(*plain), Client::tls(*secure, &config).unwrap()];
    for client in &mut clients {
        assert_eq!(client.log_in("PLAIN", b"\0guest\0guest"), Reply::Ok);
        assert_eq!(client.open_with_heartbeat("/", 3), Reply::Ok);
        assert_eq!(client.open_channel(), Reply::Ok);
        for _ in 0..MESSAGES {
            client.say(1, BasicGet { queue: "q", no_ack: true });
        }
    }
    let since = Instant::now();
    let own = clients.len() as u64;
    while node.fds().used > before + own {
        assert!(since.elapsed() < Duration::from_secs(60), "{} files are open, {before} were", node.fds().used);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(node.connection_count(), 1, "the publisher");
}
