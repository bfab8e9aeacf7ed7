//! TLS as its users have it: a rabbitmq.conf, certificates in files, and OpenSSL's own client.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use leveret_tests::prelude::*;

const LISTENER: &str = "started TLS (SSL) listener on ";

/// A folder with a certificate for localhost, its key, and a configuration that names both.
struct Files(Home);

impl Files {
    fn new(test: &str, more: &str) -> Option<Files> {
        if skip_without_process(test) {
            return None;
        }
        let files = Files(Home::new());
        files.make_certificate("one.example");
        let dir = files.0.path().display();
        let settings = format!(
            "listeners.ssl.default = 127.0.0.1:0\n\
             ssl_options.certfile = {dir}/cert.pem\n\
             ssl_options.keyfile = {dir}/key.pem\n\
             {more}\n"
        );
        fs::write(files.path("rabbitmq.conf"), settings).expect("a configuration");
        Some(files)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn make_certificate(&self, name: &str) {
        let subject = format!("/O=Leveret/CN={name}");
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", &subject, "-addext", "subjectAltName=DNS:localhost"])
            .args(["-keyout", &self.path("key.pem"), "-out", &self.path("cert.pem")])
            .output()
            .expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    fn start(&self) -> (Broker, SocketAddr) {
        let broker = Broker::start_with(&["--config", &self.path("rabbitmq.conf")]);
        broker.expect_line("names the TLS listener", |line| line.contains(LISTENER));
        let address = address_of(&broker.output());
        (broker, address)
    }

    /// What OpenSSL's client says of the server and prints of what it sends, when it is given these bytes.
    fn s_client(&self, address: SocketAddr, input: &[u8], arguments: &[&str]) -> (String, Vec<u8>) {
        let mut child = Command::new("openssl")
            .args([
                "s_client",
                "-connect",
                &address.to_string(),
                "-CAfile",
                &self.path("cert.pem"),
                "-verify_return_error",
            ])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl runs");
        child.stdin.take().expect("its input").write_all(input).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        (String::from_utf8_lossy(&output.stderr).into_owned(), output.stdout)
    }

    /// The name in the certificate that a client is shown.
    fn shown(&self, address: SocketAddr) -> String {
        let (told, printed) = self.s_client(address, b"", &["-brief"]);
        let all = format!("{told}{}", String::from_utf8_lossy(&printed));
        let line = all.lines().find(|line| line.contains("CN")).unwrap_or_else(|| panic!("{all}"));
        line.to_owned()
    }
}

fn address_of(output: &str) -> SocketAddr {
    let line = output.lines().find_map(|line| line.split_once(LISTENER)).expect("the TLS listener's line").1;
    let end = line.find(|letter: char| letter.is_whitespace() || letter == '\u{1b}').unwrap_or(line.len());
    line.get(..end).expect("an address").parse().unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn openssl_s_client_is_answered_with_connection_start() {
    let Some(files) = Files::new("openssl_s_client_is_answered_with_connection_start", "") else { return };
    let (_broker, address) = files.start();
    // -quiet goes on until the server ends: a frame of no kind makes it, after three seconds.
    let input = b"AMQP\x00\x00\x09\x01\x01\x00\x00\x00\x00\x00\x00\xFF";
    std::thread::scope(|scope| {
        for version in ["-tls1_3", "-tls1_2"] {
            let files = &files;
            scope.spawn(move || {
                let (_, answer) = files.s_client(address, input, &["-quiet", version]);
                assert!(contains(&answer, b"product") && contains(&answer, b"RabbitMQ"), "{version}: {answer:?}");
            });
        }
    });
    let (errors, answer) = files.s_client(address, b"", &["-quiet", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    assert!(answer.is_empty() && !errors.is_empty());
}

#[test]
fn failed_handshakes_are_logged_once() {
    let Some(files) = Files::new("failed_handshakes_are_logged_once", "") else { return };
    let (broker, address) = files.start();
    let mut stream = TcpStream::connect(address).expect("it listens");
    let peer = stream.local_addr().expect("an address");
    stream.write_all(&PROTOCOL_HEADER).expect("it reads");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let _ = stream.read(&mut [0; 64]);
    let expected = format!("closing connection from {peer}: TLS handshake failed");
    broker.expect_line("tells of the handshake", |line| line.contains(&expected));
    assert_eq!(broker.output().matches("TLS handshake failed").count(), 1);
}

#[test]
fn certificates_are_read_again_on_sighup_while_connections_stay() {
    let name = "certificates_are_read_again_on_sighup_while_connections_stay";
    let Some(files) = Files::new(name, "") else { return };
    let (broker, address) = files.start();
    let plain = Connection::open(&broker);
    assert!(files.shown(address).contains("one.example"));
    files.make_certificate("two.example");
    broker.signal("HUP").expect("the broker can be signalled");
    let deadline = Instant::now() + PATIENCE;
    while !files.shown(address).contains("two.example") {
        assert!(Instant::now() < deadline, "{}", broker.output());
    }
    plain.close();
}

#[test]
fn settings_that_cannot_be_used_are_told_at_the_start() {
    let name = "settings_that_cannot_be_used_are_told_at_the_start";
    for (setting, told) in [
        ("ssl_options.versions.1 = tlsv1.1", "TLS version 'tlsv1.1' is not supported"),
        ("ssl_options.verify = verify_peer", "ssl_options.cacertfile"),
    ] {
        let Some(files) = Files::new(name, setting) else { return };
        let config = files.path("rabbitmq.conf");
        let error = Broker::try_start(&["--config", &config]).expect_err("it does not start").to_string();
        assert!(error.contains(told), "{error}");
    }
    let Some(files) = Files::new(name, "") else { return };
    fs::remove_file(Path::new(&files.path("key.pem"))).expect("the key goes");
    let config = files.path("rabbitmq.conf");
    let error = Broker::try_start(&["--config", &config]).expect_err("it does not start").to_string();
    assert!(error.contains("key.pem"), "{error}");
}
