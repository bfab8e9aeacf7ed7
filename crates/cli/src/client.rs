//! HTTP/1.1 to a broker, by its socket or by TCP.

mod tls;

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{Builder, Runtime};

pub(crate) use self::tls::Tls;
use crate::socket::Socket;
use crate::url::Address;

/// Where the API is.
#[derive(Clone, Debug)]
pub(crate) enum Endpoint {
    /// Behind a socket of this machine, where no password is asked for.
    Socket(PathBuf),
    /// At an address.
    Tcp(Address, Tls),
}

/// A connection to a broker, made when it is first needed. It waits for answers: a tool does one thing at a time.
#[derive(Debug)]
pub(crate) struct Client {
    runtime: Runtime,
    endpoint: Endpoint,
    timeout: Duration,
    sender: RefCell<Option<SendRequest<Full<Bytes>>>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Nobody is there.
    Down(String),
    /// It takes too long.
    Timeout,
    /// It is no HTTP, or broke off.
    Broken(String),
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Whether it was done.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The JSON of the body; null if there is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// What the broker says is wrong.
    pub(crate) fn reason(&self) -> String {
        let body = self.json();
        let reason = ["explanation", "reason", "error"].into_iter().find_map(|name| body.get(name));
        match reason {
            // The API writes for browsers.
            Some(Value::String(reason)) => reason.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"),
            Some(other) => other.to_string(),
            None => format!("HTTP status {}", self.status),
        }
    }
}

impl Client {
    /// Nothing is connected yet.
    pub(crate) fn new(endpoint: Endpoint, timeout: Duration) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        Ok(Self { runtime, endpoint, timeout, sender: RefCell::new(None) })
    }

    /// One request and its answer; the path is what comes after `/api/`.
    pub(crate) fn send(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Answer, Trouble> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        self.send_bytes(method, &format!("/api/{path}"), body)
    }

    /// The same with a header and without a body.
    pub(crate) fn send_with(
        &self,
        method: &Method,
        path: &str,
        header: (&HeaderName, &str),
    ) -> Result<Answer, Trouble> {
        self.exchange(method, &format!("/api/{path}"), Vec::new(), Some(header))
    }

    /// One request to any path of the server.
    pub(crate) fn send_bytes(&self, method: &Method, path: &str, body: Vec<u8>) -> Result<Answer, Trouble> {
        self.exchange(method, path, body, None)
    }

    fn exchange(
        &self,
        method: &Method,
        path: &str,
        body: Vec<u8>,
        header: Option<(&HeaderName, &str)>,
    ) -> Result<Answer, Trouble> {
        self.within(async {
            let response = self.start(method, path, body, header).await?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.map_err(broken)?.to_bytes();
            Ok(Answer { status, body })
        })
    }

    /// One request whose answer is taken as it comes, until it ends or the time is over. Gives back its status.
    pub(crate) fn follow(
        &self,
        path: &str,
        deadline: Option<Instant>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<u16, Trouble> {
        self.runtime.block_on(async {
            let response = self.start(&Method::GET, &format!("/api/{path}"), Vec::new(), None).await?;
            let status = response.status().as_u16();
            let mut body = response.into_body();
            while let Some(frame) = before(deadline, body.frame()).await {
                if let Some(data) = frame.map_err(broken)?.data_ref() {
                    take(data);
                }
            }
            Ok(status)
        })
    }

    fn within<T>(&self, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
        let timeout = self.timeout;
        self.runtime.block_on(async move { tokio::time::timeout(timeout, work).await.unwrap_or(Err(Trouble::Timeout)) })
    }

    async fn start(
        &self,
        method: &Method,
        path: &str,
        body: Vec<u8>,
        header: Option<(&HeaderName, &str)>,
    ) -> Result<Response<Incoming>, Trouble> {
        let mut sender = self.ready_sender().await?;
        let mut request = self.request(method, path, body)?;
        if let Some((name, value)) = header
            && let Ok(value) = HeaderValue::from_str(value)
        {
            request.headers_mut().insert(name.clone(), value);
        }
        let response = sender.send_request(request).await.map_err(broken)?;
        *self.sender.borrow_mut() = Some(sender);
        Ok(response)
    }

    async fn ready_sender(&self) -> Result<SendRequest<Full<Bytes>>, Trouble> {
        let kept = self.sender.borrow_mut().take();
        if let Some(mut sender) = kept
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        match &self.endpoint {
            Endpoint::Socket(path) => {
                let socket = Socket::at(path).map_err(down)?;
                shake(UnixStream::connect(socket.path()).await.map_err(down)?).await
            }
            Endpoint::Tcp(address, options) => {
                let stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(down)?;
                if address.is_tls {
                    shake(options.connect(&address.host, stream).await.map_err(down)?).await
                } else {
                    shake(stream).await
                }
            }
        }
    }

    fn request(&self, method: &Method, path: &str, body: Vec<u8>) -> Result<Request<Full<Bytes>>, Trouble> {
        let mut request = Request::builder().method(method.clone());
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request = match &self.endpoint {
            Endpoint::Socket(_) => request.uri(path).header(header::HOST, "localhost"),
            Endpoint::Tcp(address, _) => {
                let request = request
                    .uri(format!("{}{path}", address.prefix))
                    .header(header::HOST, format!("{}:{}", address.host, address.port));
                match &address.user {
                    Some((user, password)) => {
                        let token = STANDARD.encode(format!("{user}:{password}"));
                        request.header(header::AUTHORIZATION, format!("Basic {token}"))
                    }
                    None => request,
                }
            }
        };
        request.body(Full::new(Bytes::from(body))).map_err(|error| Trouble::Broken(error.to_string()))
    }
}

/// What comes before the time is over; nothing after.
async fn before<T>(deadline: Option<Instant>, next: impl Future<Output = Option<T>>) -> Option<T> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), next).await.ok().flatten(),
        None => next.await,
    }
}

async fn shake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Trouble>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends with the process, or with the broker; a request notices by itself.
    tokio::spawn(async move { connection.await.ok() });
    Ok(sender)
}

fn down(error: io::Error) -> Trouble {
    Trouble::Down(error.to_string())
}

fn broken(error: hyper::Error) -> Trouble {
    Trouble::Broken(error.to_string())
}
