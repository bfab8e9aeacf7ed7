//! A broker with its HTTP API in this process, and a client that hides nothing of the answers.
#![allow(dead_code, reason = "not every test file uses all of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leveret_management::{HttpListener, Management, ManagementConfig, serve};
use leveret_server::{ListenerConfig, Server, ServerConfig};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

/// How long anything may take, on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A broker that keeps nothing, with its API on a free port.
pub struct Broker {
    pub server: Server,
    pub management: Management,
    stop: CancellationToken,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Broker {
    pub async fn start() -> Self {
        Self::start_with(|_, _| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut ServerConfig, &mut ManagementConfig)) -> Self {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = ServerConfig { listeners: vec![ListenerConfig::tcp(here)], ..ServerConfig::default() };
        let mut management = ManagementConfig {
            listeners: vec![HttpListener::plain(here)],
            prometheus: vec![HttpListener::plain(here)],
            ..ManagementConfig::default()
        };
        change(&mut server, &mut management);
        let server = Server::start(&server).unwrap();
        let stop = CancellationToken::new();
        let management = serve(server.node(), management, stop.clone()).await.unwrap();
        Self { server, management, stop }
    }

    pub fn http(&self) -> SocketAddr {
        self.management.addresses[0]
    }

    /// As guest, who is an administrator.
    pub async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        self.call_as("guest:guest", method, path, body).await
    }

    pub async fn call_as(&self, credentials: &str, method: &str, path: &str, body: &str) -> Reply {
        let basic = format!("authorization: Basic {}\r\n", STANDARD.encode(credentials));
        self.raw(method, path, &basic, body).await
    }

    pub async fn raw(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let stream = TcpStream::connect(self.http()).await.unwrap();
        exchange(stream, method, path, headers, body.as_bytes()).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let reply = self.call("GET", path, "").await;
        assert_eq!(reply.status, 200, "GET {path}: {reply:?}");
        reply.json()
    }

    /// What is found there once it is as `wanted`.
    pub async fn get_once(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        loop {
            let found = self.get(path).await;
            if wanted(&found) {
                return found;
            }
            assert!(since.elapsed() < PATIENCE, "{path} stays {found}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.management.ended(Duration::from_secs(5)).await;
        self.server.shutdown().await;
    }
}

/// A request over the unix socket.
pub async fn local(socket: &Path, method: &str, path: &str, body: &str) -> Reply {
    exchange(UnixStream::connect(socket).await.unwrap(), method, path, "", body.as_bytes()).await
}

pub async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Reply {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    Reply::read(&String::from_utf8(answer).unwrap())
}

impl Reply {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Self { status, headers, text: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
