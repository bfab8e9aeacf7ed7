//! TLS of AMQP listeners: handshakes, certificates of clients, and certificates that change.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use leveret_server::auth::{AuthConfig, Mechanism};
use leveret_server::tls::{CertificateLogin, SanKind, Tls, TlsConfig, TlsError};
use leveret_server::{ListenerConfig, ServerConfig};
use rustls::version::{TLS12, TLS13};
use support::certificates::{Authority, Identity};
use support::client::{tcp, tls};
use support::{Client, Reply, Running, any_port};

const BOTH: [&rustls::SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

fn tls_config(identity: &Identity) -> TlsConfig {
    TlsConfig::new(&identity.certfile, &identity.keyfile)
}

/// Asks clients for certificates.
fn verifying(authority: &Authority, identity: &Identity) -> TlsConfig {
    TlsConfig { verify_peer: true, cacertfile: Some(authority.cacertfile()), ..tls_config(identity) }
}

fn server(tls: TlsConfig) -> Running {
    let mechanisms = [Mechanism::Plain, Mechanism::External].to_vec();
    let auth = AuthConfig { mechanisms, ..AuthConfig::default() };
    let listeners = vec![ListenerConfig::tls(any_port())];
    Running::start(&ServerConfig { listeners, tls: Some(tls), auth, ..ServerConfig::default() })
}

/// The common name of the certificate that a server shows.
fn shown(running: &Running, authority: &Authority) -> Vec<u8> {
    let stream = tls(tcp(running.address()), &authority.client_config(None, &BOTH)).unwrap();
    stream.conn.peer_certificates().unwrap().first().unwrap().to_vec()
}

#[test]
fn amqp_is_spoken_over_each_version() {
    let authority = Authority::new();
    let running = server(tls_config(&authority.server("server")));
    for version in BOTH {
        let mut client = Client::tls(running.address(), &authority.client_config(None, &[version])).unwrap();
        assert_eq!(client.mechanisms, "PLAIN EXTERNAL");
        assert_eq!(client.plain("guest", "guest"), Reply::Ok);
        assert_eq!(client.open_channel(), Reply::Ok);
        assert_eq!(client.declare("q"), Reply::Ok);
        assert_eq!(client.close(), Reply::Ok);
    }
}

#[test]
fn large_amounts_pass_both_ways() {
    let authority = Authority::new();
    let running = server(tls_config(&authority.server("server")));
    let mut client = Client::tls(running.address(), &authority.client_config(None, &BOTH)).unwrap();
    assert_eq!(client.plain("guest", "guest"), Reply::Ok);
    assert_eq!(client.open_channel(), Reply::Ok);
    // More than all buffers on the way take: nothing may get lost, and nobody may wait for ever.
    for _ in 0..20_000 {
        client.say_declare("a-queue-with-a-name-that-is-long-enough-to-fill-buffers-soon");
    }
    for _ in 0..20_000 {
        assert_eq!(client.reply(), Reply::Ok);
    }
}

#[test]
fn the_connection_ends_with_close_notify() {
    let authority = Authority::new();
    let running = server(tls_config(&authority.server("server")));
    let mut client = Client::tls(running.address(), &authority.client_config(None, &BOTH)).unwrap();
    assert_eq!(client.plain("guest", "guest"), Reply::Ok);
    assert_eq!(client.close(), Reply::Ok);
    // An end without it is an error.
    assert_eq!(client.stream().read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_client_may_end_without_a_word() {
    let authority = Authority::new();
    let (listeners, tls_config) = (vec![ListenerConfig::tls(any_port())], tls_config(&authority.server("server")));
    let handshake_timeout = Duration::from_secs(600);
    let running = Running::start(&ServerConfig {
        listeners,
        tls: Some(tls_config),
        handshake_timeout,
        ..ServerConfig::default()
    });
    let mut stream = tls(tcp(running.address()), &authority.client_config(None, &BOTH)).unwrap();
    stream.write_all(b"AMQP\0\0\x09\x01").unwrap();
    stream.flush().unwrap();
    stream.sock.shutdown(Shutdown::Write).unwrap();
    // connection.start, and then the end, well before the handshake's time is up.
    let began = Instant::now();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert!(all.len() > 100 && began.elapsed() < Duration::from_secs(50), "{} {:?}", all.len(), began.elapsed());
}

#[test]
fn external_logs_in_whom_the_certificate_names() {
    let authority = Authority::new();
    let identity = authority.server("server");
    let guest = authority.client("guest", "guest.example");
    let login = |login_from| {
        let running = server(TlsConfig { login_from, ..verifying(&authority, &identity) });
        let mut client = Client::tls(running.address(), &authority.client_config(Some(&guest), &BOTH)).unwrap();
        let reply = client.log_in("EXTERNAL", b"");
        let name = running.server.broker().user("guest").unwrap().name.to_string();
        (reply, name)
    };
    let san = |kind| CertificateLogin::SubjectAlternativeName { kind, index: 0 };
    assert_eq!(login(CertificateLogin::CommonName).0, Reply::Ok);
    let refused = Reply::Closed(
        403,
        "ACCESS_REFUSED - Login was refused using authentication mechanism EXTERNAL. For details see the broker logfile."
            .to_owned(),
    );
    // There are no users of these names.
    for login_from in [CertificateLogin::DistinguishedName, san(SanKind::Dns), san(SanKind::Email)] {
        assert_eq!(login(login_from).0, refused);
    }
}

#[test]
fn the_whole_name_of_a_subject_may_be_a_user() {
    use leveret_server::engine::admin::{NewUser, Password};

    let authority = Authority::new();
    let running = server(verifying(&authority, &authority.server("server")));
    let name = "CN=bob,O=Acme\\, Inc.";
    running.server.broker().put_user(name, &NewUser { password: Password::None, tags: Vec::new() }, "test").unwrap();
    running.server.broker().set_permissions(name, "/", ".*", ".*", ".*", "test").unwrap();
    let bob = authority.client("bob", "bob.example");
    let mut client = Client::tls(running.address(), &authority.client_config(Some(&bob), &BOTH)).unwrap();
    assert_eq!(client.log_in("EXTERNAL", b""), Reply::Ok);
    assert_eq!(client.open("/"), Reply::Ok);
    // There is no password that lets in who has none.
    let mut client = Client::tls(running.address(), &authority.client_config(Some(&bob), &BOTH)).unwrap();
    assert!(matches!(client.plain(name, "x"), Reply::Closed(403, _)));
}

#[test]
fn reports_tell_of_tls_and_of_the_certificate() {
    let authority = Authority::new();
    let running = server(verifying(&authority, &authority.server("server")));
    let guest = authority.client("guest", "guest.example");
    for (version, protocol) in [(&TLS13, "tlsv1.3"), (&TLS12, "tlsv1.2")] {
        let mut client = Client::tls(running.address(), &authority.client_config(Some(&guest), &[version])).unwrap();
        assert_eq!(client.plain("guest", "guest"), Reply::Ok);
        let reports = running.server.node().connections();
        let tls = reports.iter().filter_map(|report| report.tls.as_ref()).find(|tls| tls.protocol == protocol).unwrap();
        assert_eq!((tls.cipher, tls.hash), ("aes_256_gcm", "aead"));
        let peer = tls.peer.as_ref().unwrap();
        assert_eq!((&*peer.subject, &*peer.issuer), ("CN=guest,O=Acme\\, Inc.", "CN=Test authority"));
        assert!(peer.validity.len() == 43 && peer.validity.contains("Z - "), "{}", peer.validity);
        assert!(peer.serial_number.bytes().all(|digit| digit.is_ascii_digit()), "{}", peer.serial_number);
    }
}

#[test]
fn external_needs_a_certificate() {
    let authority = Authority::new();
    let running = server(verifying(&authority, &authority.server("server")));
    let mut client = Client::tls(running.address(), &authority.client_config(None, &BOTH)).unwrap();
    assert_eq!(client.mechanisms, "PLAIN EXTERNAL");
    assert!(matches!(client.log_in("EXTERNAL", b""), Reply::Closed(403, _)));
    let mut client = Client::tls(running.address(), &authority.client_config(None, &BOTH)).unwrap();
    assert_eq!(client.plain("guest", "guest"), Reply::Ok);
}

#[test]
fn external_is_not_offered_without_tls() {
    let mechanisms = vec![Mechanism::External, Mechanism::Plain];
    let running = Running::start(&support::with_auth(AuthConfig { mechanisms, ..AuthConfig::default() }));
    assert_eq!(Client::tcp(running.address()).mechanisms, "PLAIN");
}

#[test]
fn peers_without_certificate_or_with_a_strange_one_are_refused() {
    let authority = Authority::new();
    let identity = authority.server("server");
    let strict = TlsConfig { fail_if_no_peer_cert: true, ..verifying(&authority, &identity) };
    let running = server(strict);
    let stranger = Authority::new().client("guest", "guest.example");
    for client in [None, Some(&stranger)] {
        assert!(Client::tls(running.address(), &authority.client_config(client, &BOTH)).is_err());
    }
    let known = authority.client("guest", "guest.example");
    assert!(Client::tls(running.address(), &authority.client_config(Some(&known), &BOTH)).is_ok());
    // Strangers are no better where certificates are not needed.
    let running = server(verifying(&authority, &identity));
    assert!(Client::tls(running.address(), &authority.client_config(Some(&stranger), &BOTH)).is_err());
}

#[test]
fn versions_that_are_not_configured_are_not_spoken() {
    let authority = Authority::new();
    let identity = authority.server("server");
    let running = server(TlsConfig { versions: vec!["tlsv1.3".to_owned()], ..tls_config(&identity) });
    assert!(Client::tls(running.address(), &authority.client_config(None, &[&TLS12])).is_err());
    assert!(Client::tls(running.address(), &authority.client_config(None, &[&TLS13])).is_ok());
}

#[test]
fn what_does_not_speak_tls_is_sent_away_and_others_are_served() {
    let authority = Authority::new();
    let running = server(tls_config(&authority.server("server")));
    let mut silent = tcp(running.address());
    let mut garbage = tcp(running.address());
    garbage.write_all(b"AMQP\0\0\x09\x01").unwrap();
    let mut answer = Vec::new();
    let _ = garbage.read_to_end(&mut answer);
    // An alert at most.
    assert!(answer.len() <= 7, "{answer:?}");
    assert!(Client::tls(running.address(), &authority.client_config(None, &BOTH)).is_ok());
    silent.write_all(b"\x16").unwrap();
}

#[test]
fn a_handshake_does_not_take_for_ever() {
    let authority = Authority::new();
    let identity = authority.server("server");
    let running = Running::start(&ServerConfig {
        listeners: vec![ListenerConfig::tls(any_port())],
        tls: Some(tls_config(&identity)),
        tls_handshake_timeout: Duration::from_millis(200),
        ..ServerConfig::default()
    });
    for begin in [&b""[..], b"\x16\x03\x01"] {
        let mut stalled = tcp(running.address());
        stalled.write_all(begin).unwrap();
        let began = Instant::now();
        let _ = stalled.read(&mut [0; 16]);
        assert!(began.elapsed() < Duration::from_secs(50));
    }
}

#[test]
fn certificates_change_while_connections_stay() {
    let authority = Authority::new();
    let identity = authority.server("server");
    let running = server(tls_config(&identity));
    let before = shown(&running, &authority);
    let mut client = Client::tls(running.address(), &authority.client_config(None, &BOTH)).unwrap();
    assert_eq!(client.plain("guest", "guest"), Reply::Ok);
    // The files stay, what is in them does not.
    let renewed = authority.server("server");
    assert_eq!(shown(&running, &authority), before);
    running.server.reload_certificates().unwrap();
    assert_eq!(shown(&running, &authority), renewed.certificate.to_vec());
    assert_eq!(client.open_channel(), Reply::Ok);
    // What cannot be used changes nothing.
    fs::write(&identity.certfile, "no certificate").unwrap();
    assert!(matches!(running.server.reload_certificates(), Err(TlsError::NoCertificate { .. })));
    assert_eq!(shown(&running, &authority), renewed.certificate.to_vec());
    assert_eq!(client.declare("q"), Reply::Ok);
}

#[test]
fn changed_files_are_found() {
    let authority = Authority::new();
    let running = server(tls_config(&authority.server("server")));
    let renewed = authority.server("server");
    let deadline = Instant::now() + Duration::from_secs(60);
    while shown(&running, &authority) != renewed.certificate.to_vec() {
        assert!(Instant::now() < deadline, "the old certificate is still shown");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn settings_that_cannot_be_used_are_explained() {
    let authority = Authority::new();
    let identity = authority.server("server");
    let error = |config: TlsConfig| Tls::load(&config).unwrap_err().to_string();
    let missing = authority.dir.path().join("missing.pem");
    assert!(error(TlsConfig::new(&missing, &identity.keyfile)).contains("missing.pem"));
    assert!(error(TlsConfig { verify_peer: true, ..tls_config(&identity) }).contains("ssl_options.cacertfile"));
    assert!(error(TlsConfig { versions: vec!["tlsv1".to_owned()], ..tls_config(&identity) }).contains("'tlsv1'"));
    let other = authority.server("other");
    assert!(error(TlsConfig::new(&identity.certfile, &other.keyfile)).starts_with("cannot set TLS up"));
    let legacy = authority.dir.path().join("legacy.key");
    fs::write(&legacy, "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n").unwrap();
    assert!(error(TlsConfig::new(&identity.certfile, &legacy)).contains("openssl pkcs8 -topk8"));
}

#[test]
fn several_listeners_serve_side_by_side() {
    let authority = Authority::new();
    let identity = authority.server("server");
    let listeners =
        vec![ListenerConfig::tcp(any_port()), ListenerConfig::tls(any_port()), ListenerConfig::tcp(any_port())];
    let running =
        Running::start(&ServerConfig { listeners, tls: Some(tls_config(&identity)), ..ServerConfig::default() });
    let [first, secure, last] = running.server.addresses() else { panic!() };
    assert_eq!(running.address(), *first);
    for address in [first, last] {
        assert_eq!(Client::tcp(*address).plain("guest", "guest"), Reply::Ok);
    }
    assert!(Client::tls(*secure, &authority.client_config(None, &BOTH)).is_ok());
}

#[test]
fn there_may_be_no_listener_at_all() {
    let running = Running::start(&ServerConfig { listeners: Vec::new(), ..ServerConfig::default() });
    assert!(running.server.addresses().is_empty());
}
