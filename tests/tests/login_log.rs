//! What the log says of clients that are not let in.

use leveret_tests::prelude::*;

fn broker(test: &str) -> Option<Broker> {
    (!skip_without_process(test)).then(Broker::start)
}

#[test]
fn refused_logins_are_told_with_their_reason() {
    let Some(broker) = broker("refused_logins_are_told_with_their_reason") else { return };
    for (user, password, told) in [
        ("guest", "wrong", "PLAIN login refused: user 'guest' - invalid credentials"),
        ("nobody", "guest", "PLAIN login refused: user 'nobody' - invalid credentials"),
        ("guest", "", "PLAIN login refused: user 'guest' attempted to log in with a blank password"),
    ] {
        let login = Login { response: plain(user, password), ..Login::new(&broker) };
        let mut socket = Socket::at(&broker, Stage::Started);
        socket.send_method(0, &login.start_ok());
        socket.expect(0, ids::CONNECTION_CLOSE);
        broker.expect_line(told, |line| line.contains(told));
    }
    broker.expect_line("names the connection", |line| {
        line.contains("Error on AMQP connection <0.") && line.contains("127.0.0.1:") && line.contains("state: starting")
    });
}

#[test]
fn names_do_not_look_like_lines() {
    let Some(broker) = broker("names_do_not_look_like_lines") else { return };
    let login = Login { response: plain("a\nServer shutdown", "x"), ..Login::new(&broker) };
    let mut socket = Socket::at(&broker, Stage::Started);
    socket.send_method(0, &login.start_ok());
    socket.expect(0, ids::CONNECTION_CLOSE);
    broker.expect_line("shows the name", |line| line.contains("user 'a\\nServer shutdown' - invalid credentials"));
}

#[test]
fn http_and_tls_on_the_port_of_amqp_are_told() {
    let Some(broker) = broker("http_and_tls_on_the_port_of_amqp_are_told") else { return };
    for (bytes, told) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "HTTP GET request detected on AMQP port."),
        (&[0x16, 0x03, 0x01, 0x02, 0, 1, 0, 1, 0xFC, 3, 3], "TLS client detected on non-TLS AMQP port."),
        (b"SSH-2.0-x", "client did not start with AMQP protocol header: <<\"SSH-2.0-\">>"),
    ] {
        Socket::connect(&broker).send(bytes);
        broker.expect_line(told, |line| line.contains(told));
    }
}
