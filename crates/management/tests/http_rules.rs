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
    let mut answer = vec![0; 4096];
    for _ in 0..3 {
        let request = "GET /api/whoami HTTP/1.1\r\nhost: x\r\nauthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let length = stream.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer[..length]));
    }
    let began = std::time::Instant::now();
    broker.stop().await;
    assert_eq!(stream.read(&mut answer).await.unwrap(), 0);
    assert!(began.elapsed() < std::time::Duration::from_secs(4), "{:?}", began.elapsed());
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
