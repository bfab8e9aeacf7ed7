//! What is the same for all routes: credentials, methods, types, errors, slashes, origins.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a test")]

mod common;

use common::{Broker, local};
use serde_json::json;

#[tokio::test]
async fn nobody_gets_in_without_credentials() {
    let broker = Broker::start().await;
    let reply = broker.raw("GET", "/api/whoami", "", "").await;
    assert_eq!((reply.status, reply.text.as_str()), (401, ""));
    assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"RabbitMQ Management\""));
    let reply = broker.call_as("guest:wrong", "GET", "/api/whoami", "").await;
    assert_eq!((reply.status, reply.json()), (401, json!({"error": "not_authorized", "reason": "Not_Authorized"})));
    assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"RabbitMQ Management\""));
    for _ in 0..2 {
        // The second time out of the cache.
        let reply = broker.call("GET", "/api/whoami", "").await;
        assert_eq!((reply.status, reply.json()), (200, json!({"name": "guest", "tags": ["administrator"]})));
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
    }
    let reply = broker.call_as("guest:wrong", "GET", "/api/whoami", "").await;
    assert_eq!(reply.status, 401);
    broker.stop().await;
}

#[tokio::test]
async fn methods_paths_and_types_that_there_are_not() {
    let broker = Broker::start().await;
    let reply = broker.call("POST", "/api/whoami", "").await;
    assert_eq!((reply.status, reply.header("allow"), reply.text.as_str()), (405, Some("HEAD, GET, OPTIONS"), ""));
    for path in ["/api/nonsense", "/nonsense", "/api/whoami/x"] {
        let reply = broker.call("GET", path, "").await;
        assert_eq!((reply.status, reply.json()), (404, json!({"error": "Object Not Found", "reason": "Not Found"})));
    }
    let guest = "authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n";
    for (accept, status) in
        [("text/html", 406), ("text/html, application/json;q=0.5", 200), ("*/*", 200), ("application/*", 200)]
    {
        let headers = format!("{guest}accept: {accept}\r\n");
        assert_eq!(broker.raw("GET", "/api/whoami", &headers, "").await.status, status, "{accept}");
    }
    let reply = broker.call("HEAD", "/api/whoami/", "").await;
    assert_eq!((reply.status, reply.header("content-length"), reply.text.as_str()), (200, Some("41"), ""));
    broker.stop().await;
}

#[tokio::test]
async fn pages_of_other_origins_are_let_in_where_they_are_allowed() {
    let broker = Broker::start_with(|_, config| config.cors.allow_origins.push("https://a.example".to_owned())).await;
    let headers =
        "origin: https://a.example\r\naccess-control-request-method: GET\r\naccess-control-request-headers: x\r\n";
    let reply = broker.raw("OPTIONS", "/api/whoami", headers, "").await;
    assert_eq!(reply.status, 200);
    for (name, value) in [
        ("allow", "HEAD, GET, OPTIONS"),
        ("access-control-allow-origin", "https://a.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "HEAD, GET, OPTIONS"),
        ("access-control-allow-headers", "x"),
        ("access-control-max-age", "1800"),
        ("vary", "accept, accept-encoding, origin"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    let reply = broker.raw("GET", "/api/whoami", "origin: https://b.example\r\n", "").await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (401, None));
    broker.stop().await;
}

#[tokio::test]
async fn pages_of_any_origin_do_not_act_with_a_password_that_the_browser_remembers() {
    let allowed = ["*", "https://a.example"].map(str::to_owned);
    let broker = Broker::start_with(|_, config| config.cors.allow_origins.extend(allowed)).await;
    for (origin, shared_with, with_credentials) in [
        ("https://b.example", Some("*"), None),
        ("https://a.example", Some("https://a.example"), Some("true")),
        // Files and sandboxes have no origin of their own.
        ("null", None, None),
    ] {
        let reply = broker.raw("OPTIONS", "/api/whoami", &format!("origin: {origin}\r\n"), "").await;
        assert_eq!(reply.header("access-control-allow-origin"), shared_with, "{origin}");
        assert_eq!(reply.header("access-control-allow-credentials"), with_credentials, "{origin}");
        assert_eq!(reply.header("access-control-allow-methods").is_some(), shared_with.is_some(), "{origin}");
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_prefix_stands_before_every_path() {
    let broker = Broker::start_with(|_, config| config.path_prefix = "/broker/".to_owned()).await;
    assert_eq!(broker.call("GET", "/broker/api/whoami", "").await.status, 200);
    assert_eq!(broker.call("GET", "/broker", "").await.status, 200);
    assert_eq!(broker.call("GET", "/api/whoami", "").await.status, 404);
    broker.stop().await;
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused() {
    let broker = Broker::start_with(|_, config| config.body_bytes_max = 100).await;
    let reply = broker.call("GET", "/api/whoami", &" ".repeat(101)).await;
    let expected = json!({"error": "bad_request", "reason": "Exceeded HTTP request body size limit"});
    assert_eq!((reply.status, reply.json()), (400, expected));
    broker.stop().await;
}

#[tokio::test]
async fn who_has_no_credentials_says_little() {
    let broker = Broker::start().await;
    for (bytes, expected) in [(64 * 1024, 401), (64 * 1024 + 1, 400)] {
        let reply = broker.raw("POST", "/api/login", "", &" ".repeat(bytes)).await;
        assert_eq!(reply.status, expected, "{reply:?}");
    }
    // Nobody is called so, and the name goes neither into the log nor into lists.
    let long = "x".repeat(300);
    assert_eq!(broker.call_as(&format!("{long}:p"), "GET", "/api/whoami", "").await.status, 401);
    let sources = broker.get("/api/auth/attempts/rabbit@localhost/source").await;
    assert!(!sources.to_string().contains(&long), "{sources}");
    broker.stop().await;
}

#[tokio::test]
async fn connections_are_so_many_and_others_wait_for_a_place() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let broker = Broker::start_with(|_, config| config.connections_max = 1).await;
    let mut first = tokio::net::TcpStream::connect(broker.http()).await.unwrap();
    let request = b"GET /api/auth HTTP/1.1\r\nhost: x\r\n\r\n";
    first.write_all(request).await.unwrap();
    let mut answer = [0; 4096];
    assert!(first.read(&mut answer).await.unwrap() > 0);
    let mut second = tokio::net::TcpStream::connect(broker.http()).await.unwrap();
    second.write_all(request).await.unwrap();
    let moment = std::time::Duration::from_millis(300);
    assert!(tokio::time::timeout(moment, second.read(&mut answer)).await.is_err(), "the place is taken");
    drop(first);
    let patience = std::time::Duration::from_secs(30);
    let length = tokio::time::timeout(patience, second.read(&mut answer)).await.unwrap().unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));
    drop(second);
    broker.stop().await;
}

#[tokio::test]
async fn who_comes_by_the_socket_is_an_administrator() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("leveret.sock");
    std::fs::write(&socket, "left behind").unwrap();
    let path = socket.clone();
    let broker = Broker::start_with(move |_, config| config.socket = Some(path)).await;
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let reply = local(&socket, "GET", "/api/whoami", "").await;
    assert_eq!((reply.status, reply.json()), (200, json!({"name": "rmq-cli", "tags": ["administrator"]})));
    broker.stop().await;
}

#[tokio::test]
async fn connections_are_kept_and_go_when_the_broker_stops() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let broker = Broker::start().await;
    let mut stream = tokio::net::TcpStream::connect(broker.http()).await.unwrap();
    for _ in 0..3 {
        let request = "GET /api/whoami HTTP/1.1\r\nhost: x\r\nauthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{}", String::from_utf8_lossy(&answer));
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer));
    }
    broker.stop().await;
    let end = tokio::time::timeout(std::time::Duration::from_secs(30), stream.read(&mut [0; 1])).await;
    assert_eq!(end.expect("it is closed").unwrap(), 0);
}

#[tokio::test]
async fn who_cannot_listen_everywhere_listens_nowhere() {
    let broker = Broker::start().await;
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let config = leveret_management::ManagementConfig {
        listeners: vec![leveret_management::HttpListener::plain(here)],
        prometheus: vec![leveret_management::HttpListener::plain(broker.http())],
        ..leveret_management::ManagementConfig::default()
    };
    let stop = tokio_util::sync::CancellationToken::new();
    assert!(leveret_management::serve(broker.server.node(), config, stop).await.is_err(), "the port is taken");
    let listeners = broker.server.node().listeners();
    let first = listeners.iter().rfind(|listener| listener.protocol == "http").unwrap();
    assert_ne!(first.port, broker.http().port());
    let since = std::time::Instant::now();
    while std::net::TcpStream::connect((first.ip, first.port)).is_ok() {
        assert!(since.elapsed() < common::PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn definitions_are_let_out_to_who_has_the_link() {
    let broker = Broker::start().await;
    let reply = broker.raw("GET", "/api/definitions?auth=Z3Vlc3Q6Z3Vlc3Q=&download=x", "", "").await;
    assert_eq!((reply.status, reply.header("content-disposition")), (200, Some("attachment; filename=x")));
    assert_eq!(broker.raw("GET", "/api/definitions?auth=x", "", "").await.status, 401);
    assert_eq!(broker.raw("GET", "/api/users?auth=Z3Vlc3Q6Z3Vlc3Q=", "", "").await.status, 401);
    broker.stop().await;
}
