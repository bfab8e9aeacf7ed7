//! The PROXY protocol, versions 1 and 2: what a proxy says about the client whose connection it passes on, before the client's
//! own first byte.
//!
//! Only as much is read as belongs to the header. Version 1 is a line that ends in CRLF; version 2 is binary:
//!
//! ```text
//! 0d0a0d0a000d0a515549540a   signature, 12 octets
//! 21                         version 2, command: 0 LOCAL (the proxy itself), 1 PROXY
//! 11                         family: 1 IPv4, 2 IPv6 (in the upper half), 1 TCP (in the lower)
//! 000c                       octets that follow: addresses, ports, and what else the proxy knows, which is skipped
//! ```

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::limits::{PROXY_HEADER_BYTES_MAX, PROXY_LINE_BYTES_MAX};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const LINE_START: &[u8] = b"PROXY ";

/// Octets of version 2 up to the length of what follows.
const FIXED_BYTES: usize = 16;

/// No header is shorter: `PROXY UNKNOWN\r\n`.
const FIRST_BYTES: usize = 12;

/// Where a connection really comes from and goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// The client.
    pub source: SocketAddr,
    /// What it wanted to connect to.
    pub destination: SocketAddr,
}

/// What is to be done with what was read so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many octets more are part of the header.
    Need(usize),
    /// That was all of it. Without addresses the connection is the proxy's own, or of a kind that has none.
    Done(Option<Proxied>),
}

/// Why something is no header.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// It does not begin like one.
    #[error("no PROXY header")]
    NoHeader,
    /// It begins like one, and goes on otherwise.
    #[error("malformed PROXY header: {0}")]
    Malformed(&'static str),
    /// The connection ended within it.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a header, and nothing behind it.
///
/// # Errors
/// When there is none, or it is malformed, or too long.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Proxied>, ProxyError> {
    let mut header = Vec::new();
    loop {
        match step(&header)? {
            Step::Done(proxied) => return Ok(proxied),
            Step::Need(more) => {
                let at = header.len();
                header.resize(at + more, 0);
                stream.read_exact(header.get_mut(at..).unwrap_or_default()).await?;
            }
        }
    }
}

/// Looks at what there is of a header.
///
/// # Errors
/// When it is none, malformed, or too long.
pub fn step(header: &[u8]) -> Result<Step, ProxyError> {
    let Some(first) = header.first_chunk::<FIRST_BYTES>() else {
        return Ok(Step::Need(FIRST_BYTES - header.len()));
    };
    if *first == SIGNATURE {
        binary(header)
    } else if first.starts_with(LINE_START) {
        line(header)
    } else {
        Err(ProxyError::NoHeader)
    }
}

fn line(header: &[u8]) -> Result<Step, ProxyError> {
    let Some(line) = header.strip_suffix(b"\r\n") else {
        return match header.len() {
            // The end may be two octets away, or one when the first half of it is there.
            0..PROXY_LINE_BYTES_MAX => Ok(Step::Need(1)),
            _ => Err(ProxyError::Malformed("the line is too long")),
        };
    };
    let line = str::from_utf8(line).map_err(|_| ProxyError::Malformed("the line is no text"))?;
    let mut words = line.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    let proxied = match family {
        "UNKNOWN" => return Ok(Step::Done(None)),
        "TCP4" => ends::<Ipv4Addr>(words)?,
        "TCP6" => ends::<Ipv6Addr>(words)?,
        _ => return Err(ProxyError::Malformed("an unknown family")),
    };
    Ok(Step::Done(Some(proxied)))
}

/// `source destination source-port destination-port`
fn ends<'a, A: FromStr + Into<IpAddr>>(mut words: impl Iterator<Item = &'a str>) -> Result<Proxied, ProxyError> {
    let mut address = || -> Option<IpAddr> { Some(words.next()?.parse::<A>().ok()?.into()) };
    let addresses = address().zip(address());
    let (source, destination) = addresses.ok_or(ProxyError::Malformed("an address is wrong"))?;
    let mut port = || words.next()?.parse().ok();
    let ports: Option<(u16, u16)> = port().zip(port());
    let (source_port, destination_port) = ports.ok_or(ProxyError::Malformed("a port is wrong"))?;
    match words.next() {
        None => Ok(Proxied {
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
        }),
        Some(_) => Err(ProxyError::Malformed("there is too much of it")),
    }
}

fn binary(header: &[u8]) -> Result<Step, ProxyError> {
    let Some([.., version, family, high, low]) = header.first_chunk::<FIXED_BYTES>() else {
        return Ok(Step::Need(FIXED_BYTES - header.len()));
    };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    if len > PROXY_HEADER_BYTES_MAX {
        return Err(ProxyError::Malformed("it is too long"));
    }
    let rest = header.get(FIXED_BYTES..).unwrap_or_default();
    if rest.len() < len {
        return Ok(Step::Need(len - rest.len()));
    }
    match (version, family) {
        (0x20, _) | (0x21, 0x00) => Ok(Step::Done(None)),
        (0x21, 0x11) => addresses::<4, 12>(rest).map(|proxied| Step::Done(Some(proxied))),
        (0x21, 0x21) => addresses::<16, 36>(rest).map(|proxied| Step::Done(Some(proxied))),
        // Datagrams and sockets of the proxy's machine have no addresses that mean anything here.
        (0x21, 0x12 | 0x22 | 0x31 | 0x32) => Ok(Step::Done(None)),
        (0x21, _) => Err(ProxyError::Malformed("an unknown family")),
        _ => Err(ProxyError::Malformed("an unknown version or command")),
    }
}

/// Two addresses of `A` octets each, then their ports.
fn addresses<const A: usize, const ALL: usize>(rest: &[u8]) -> Result<Proxied, ProxyError>
where
    IpAddr: From<[u8; A]>,
{
    let short = ProxyError::Malformed("it is too short for its addresses");
    let Some((all, _)) = rest.split_first_chunk::<ALL>() else { return Err(short) };
    let parts = all.split_first_chunk::<A>().and_then(|(source, rest)| Some((source, rest.split_first_chunk::<A>()?)));
    let Some((source, (destination, &[a, b, c, d]))) = parts else { return Err(short) };
    Ok(Proxied {
        source: SocketAddr::new((*source).into(), u16::from_be_bytes([a, b])),
        destination: SocketAddr::new((*destination).into(), u16::from_be_bytes([c, d])),
    })
}

#[cfg(test)]
mod tests;
