//! The sending side of a connection's socket, for its writer and for those who send without it.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_engine::counters::Tally;
use leveret_session::direct::Socket;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::tcp::OwnedWriteHalf;

/// Counts what it sends.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: OwnedWriteHalf,
    sent_bytes: AtomicU64,
    /// Writes so far. One at a time writes.
    sends: Tally,
}

impl Wire {
    pub(crate) fn new(socket: OwnedWriteHalf) -> Self {
        Self { socket, sent_bytes: AtomicU64::new(0), sends: Tally::default() }
    }

    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// How often it has sent something.
    pub(crate) fn sends(&self) -> u64 {
        self.sends.get()
    }

    /// Writes some of it, and waits until the socket takes any. For the writer only.
    pub(crate) async fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            match self.try_write_slices(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll_fn(|context| self.socket.as_ref().poll_write_ready(context)).await?;
                }
                written => return written,
            }
        }
    }

    fn try_write_slices(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        let mut written = 0;
        let tried = self.socket.as_ref().try_io(Interest::WRITABLE, || {
            let socket = SockRef::from(self.socket.as_ref());
            written = match slices {
                [one] => socket.send(one)?,
                many => socket.send_vectored(many)?,
            };
            // A socket that took less than it was given is full: there is no need to try again to know it.
            if written < bytes { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        self.sent_bytes.fetch_add(written as u64, Ordering::Relaxed);
        self.sends.add(1);
        match tried {
            Err(error) if written == 0 => Err(error),
            _ => Ok(written),
        }
    }

    /// Nothing more is sent or received: who waits for it wakes up with an error.
    pub(crate) fn end(&self) {
        // It may have ended before.
        let _ = SockRef::from(self.socket.as_ref()).shutdown(Shutdown::Both);
    }

    /// Nothing more is sent.
    pub(crate) fn shut_down(&self) {
        // It is gone already, or it goes now.
        let _ = SockRef::from(self.socket.as_ref()).shutdown(Shutdown::Write);
    }
}

impl Socket for Wire {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_slices(&[IoSlice::new(bytes)])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use std::time::Duration;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_full_socket_is_left_at_once_and_waited_for_by_the_writer_only() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_read_half, write_half) = listener.accept().await.unwrap().0.into_split();
        write_half.writable().await.unwrap();
        let wire = Wire::new(write_half);
        let mut sent = 0;
        let full = loop {
            match wire.try_write(&[7; 65_536]) {
                Ok(bytes) => sent += bytes,
                Err(error) => break error,
            }
        };
        assert_eq!((full.kind(), wire.sent_bytes()), (io::ErrorKind::WouldBlock, sent as u64));
        let reads = tokio::spawn(async move {
            let mut received = vec![0; sent + 1];
            client.read_exact(&mut received).await.map(|_| received.ends_with(&[7, 8]))
        });
        let written = timeout(Duration::from_secs(60), wire.write(&[IoSlice::new(&[8])])).await;
        assert_eq!(written.unwrap().unwrap(), 1);
        assert!(reads.await.unwrap().unwrap());
    }
}
