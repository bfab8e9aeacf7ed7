//! Back ends of authentication as their users have them: a rabbitmq.conf and a web service.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use leveret_tests::prelude::*;

/// Lets alice in, and to all that she asks for. Each question is a connection.
fn answer(stream: TcpStream) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let request = lines.next()?.ok()?;
    while !lines.next()?.ok()?.is_empty() {}
    let answer = if request.contains("username=alice") { "allow management" } else { "deny" };
    let answer = if request.contains("/user?") { answer } else { answer.split(' ').next()? };
    let len = answer.len();
    write!(&stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {len}\r\n\r\n{answer}").ok()
}

fn broker(test: &str) -> Option<Broker> {
    if skip_without_process(test) {
        return None;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        listener.incoming().flatten().for_each(|stream| {
            let _ = answer(stream);
        })
    });
    let home = Home::new();
    let config = home.path().join("rabbitmq.conf");
    let settings = format!(
        "auth_backends.1 = internal\n\
         auth_backends.2 = http\n\
         auth_http.http_method = get\n\
         auth_http.user_path = http://{address}/auth/user\n\
         auth_http.vhost_path = http://{address}/auth/vhost\n\
         auth_http.resource_path = http://{address}/auth/resource\n\
         auth_http.topic_path = http://{address}/auth/topic\n"
    );
    fs::write(&config, settings).expect("a configuration");
    Some(Broker::start_with(&["--config", &config.display().to_string()]))
}

#[test]
fn a_chain_of_own_users_and_a_web_service() {
    let Some(broker) = broker("a_chain_of_own_users_and_a_web_service") else { return };
    // Guest is the broker's own user.
    Connection::open(&broker).close();
    let alice = Login { response: plain("alice", "whatever"), ..Login::new(&broker) };
    let connection = Connection::open_with(&broker, &alice);
    connection.channel(1).exclusive_queue();
    let mallory = Login { response: plain("mallory", "whatever"), ..Login::new(&broker) };
    let mut socket = Socket::at(&broker, Stage::Started);
    socket.send_method(0, &mallory.start_ok());
    socket.expect(0, ids::CONNECTION_CLOSE);
    broker.expect_line("says why", |line| line.contains("PLAIN login refused: Denied by the backing HTTP service"));
}
