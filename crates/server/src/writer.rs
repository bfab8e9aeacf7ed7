//! The writer of a connection.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use leveret_engine::effects::Effects;
use leveret_session::outbox::{Next, OutBuffer};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;

use crate::connection::Connected;

/// Most pieces in one write.
const SLICES_MAX: usize = 512;

/// Writes what the outbox has until it is finished, then closes the sending side.
pub(crate) async fn run(mut socket: OwnedWriteHalf, connection: Arc<Connected>) {
    let mut out = OutBuffer::default();
    let mut effects = Effects::default();
    loop {
        let next = poll_fn(|context| connection.outbox.poll_take(context, &mut out)).await;
        connection.drained.notify_one();
        // Backlog is pulled while what is there goes out.
        connection.outbox.resume_parked(&mut effects);
        if let Err(error) = write(&mut socket, &out).await {
            tracing::debug!(%error, "cannot write to client");
            connection.gone.cancel();
            return;
        }
        connection.sent_bytes.fetch_add(out.len() as u64, Ordering::Relaxed);
        if next == Next::Finish {
            break;
        }
    }
    let _ = socket.shutdown().await;
}

async fn write(socket: &mut OwnedWriteHalf, out: &OutBuffer) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = out.pieces().map(IoSlice::new).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        let written = match &*rest {
            [one] => socket.write(one).await?,
            many => socket.write_vectored(many.get(..SLICES_MAX).unwrap_or(many)).await?,
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}
