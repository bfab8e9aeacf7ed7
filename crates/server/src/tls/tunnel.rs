//! Between a client that speaks TLS and all of ours that need not know.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

/// What is decrypted at a time: TLS has no larger records.
const INBOUND_BYTES: usize = 16 * 1024;

/// What is encrypted at a time.
const OUTBOUND_BYTES: usize = 64 * 1024;

/// How long a client may go on sending when we have said our last word.
const GOODBYE: Duration = Duration::from_secs(3);

/// A socket whose bytes go to the client encrypted, and come from it decrypted, and the task that does it: it ends with the
/// connection.
///
/// The socket is one end of a pair within this process. All that is done with it (reading, writing, waiting, shutting down) is
/// the same for it as for one of TCP; only who is at its other end has to be known from elsewhere.
pub(crate) fn tunnel(client: TlsStream<TcpStream>) -> io::Result<(TcpStream, impl Future<Output = ()> + Send)> {
    let (ours, theirs) = UnixStream::pair()?;
    let ours = std::net::TcpStream::from(OwnedFd::from(ours.into_std()?));
    let ours = TcpStream::from_std(ours)?;
    Ok((ours, pass_on(client, theirs)))
}

/// Passes bytes on until both sides have ended.
async fn pass_on(client: TlsStream<TcpStream>, broker: UnixStream) {
    let (from_client, to_client) = split(client);
    let (from_broker, to_broker) = broker.into_split();
    let inbound = pass_in(from_client, to_broker);
    let outbound = pass_out(from_broker, to_client);
    tokio::pin!(inbound, outbound);
    let ended = tokio::select! {
        ended = &mut inbound => {
            log(ended);
            // There may be an answer.
            outbound.await
        }
        ended = &mut outbound => {
            if ended.is_ok() {
                let _ = timeout(GOODBYE, inbound).await;
            }
            ended
        }
    };
    log(ended);
}

fn log(ended: io::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "TLS connection ended");
    }
}

/// From the client to the broker. Clients that close without a word end as all others do.
async fn pass_in(mut client: ReadHalf<TlsStream<TcpStream>>, mut broker: OwnedWriteHalf) -> io::Result<()> {
    let mut bytes = BytesMut::with_capacity(INBOUND_BYTES);
    let ended = loop {
        match client.read_buf(&mut bytes).await {
            Ok(0) => break Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break Ok(()),
            Err(error) => break Err(error),
            Ok(_) => broker.write_all(&bytes).await?,
        }
        bytes.clear();
    };
    broker.shutdown().await?;
    ended
}

/// From the broker to the client, with close_notify in the end. Idle connections hold no buffer.
async fn pass_out(broker: OwnedReadHalf, mut client: WriteHalf<TlsStream<TcpStream>>) -> io::Result<()> {
    let mut bytes = BytesMut::new();
    loop {
        broker.readable().await?;
        bytes.reserve(OUTBOUND_BYTES);
        match broker.try_read_buf(&mut bytes) {
            Ok(0) => break,
            Ok(_) => {
                let sent = async {
                    client.write_all(&bytes).await?;
                    client.flush().await
                };
                if let Err(error) = sent.await {
                    // Nobody reads what the broker still has to say.
                    let _ = SockRef::from(broker.as_ref()).shutdown(Shutdown::Both);
                    return Err(error);
                }
                bytes.clear();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => bytes = BytesMut::new(),
            Err(error) => return Err(error),
        }
    }
    client.shutdown().await
}
