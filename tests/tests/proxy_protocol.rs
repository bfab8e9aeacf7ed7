//! The PROXY protocol as its users have it: `proxy_protocol = true`, and a proxy in front.

use std::fs;

use leveret_tests::prelude::*;

fn broker(test: &str) -> Option<Broker> {
    if skip_without_process(test) {
        return None;
    }
    let home = Home::new();
    let config = home.path().join("rabbitmq.conf");
    fs::write(&config, "proxy_protocol = true\n").expect("a configuration");
    Some(Broker::start_with(&["--config", &config.display().to_string()]))
}

/// A connection up to connection.start, with this in front of it.
fn behind(broker: &Broker, header: &[u8]) -> Socket {
    let mut socket = Socket::connect(broker);
    socket.send(&[header, &PROTOCOL_HEADER].concat());
    socket.expect(0, ids::CONNECTION_START);
    socket
}

#[test]
fn clients_are_known_by_their_own_addresses() {
    let Some(broker) = broker("clients_are_known_by_their_own_addresses") else { return };
    let login = Login::new(&broker);
    let mut here = behind(&broker, b"PROXY TCP4 127.0.0.1 127.0.0.1 50000 5672\r\n");
    here.send_method(0, &login.start_ok());
    here.expect(0, ids::CONNECTION_TUNE);
    // Guest may come from this machine only, where the proxy is, and the client is not.
    let mut afar = behind(&broker, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xC0\0\x02\x07\xC0\0\x02\x01\x9C\x40\x16\x28");
    afar.send_method(0, &login.start_ok());
    afar.expect(0, ids::CONNECTION_CLOSE);
    broker.expect_line("names the client", |line| line.contains("(192.0.2.7:40000 -> 192.0.2.1:5672"));
    broker.expect_line("says why", |line| line.contains("user 'guest' can only connect via localhost"));
}

#[test]
fn what_is_no_header_closes_the_connection() {
    let Some(broker) = broker("what_is_no_header_closes_the_connection") else { return };
    let mut socket = Socket::connect(&broker);
    socket.send(&[PROTOCOL_HEADER, PROTOCOL_HEADER].concat());
    assert_eq!(socket.read_to_end(PATIENCE).as_deref(), Some(&b""[..]));
    broker.expect_line("says why", |line| line.contains("no PROXY header"));
}
