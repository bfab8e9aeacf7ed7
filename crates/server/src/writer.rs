//! The writer of a connection.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;

use leveret_codec::method::{ConnectionClose, Method};
use leveret_codec::reply_code::ReplyCode;
use leveret_engine::effects::Effects;
use leveret_session::outbox::{BlobFrames, Next, OutBuffer, Piece};
use tokio::task::spawn_blocking;

use crate::connection::{Connected, Signal};
use crate::wire::Wire;

/// Most pieces in one write.
const SLICES_MAX: usize = 512;

/// What of a body that is not in memory is read at a time; a frame is read as a whole, whatever its size.
const BLOB_READ_BYTES_MAX: usize = 256 * 1024;

/// Why nothing more can be written.
enum Broken {
    /// The client is gone.
    Socket(io::Error),
    /// The body of a message cannot be read. Some of its frames are written.
    Body(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

/// Writes what the outbox has until it is finished, then closes the sending side.
pub(crate) async fn run(connection: Arc<Connected>) {
    let wire = &connection.wire;
    let mut out = OutBuffer::default();
    loop {
        let next = poll_fn(|context| connection.outbox.poll_take(context, &mut out)).await;
        connection.drained();
        // Backlog is pulled while what is there goes out.
        connection.outbox.resume_parked(&mut Effects::default());
        if let Err(broken) = write(wire, &out).await {
            match broken {
                Broken::Socket(error) => tracing::debug!(%error, "cannot write to client"),
                Broken::Body(error) => {
                    tracing::error!(%error, "cannot read the body of a message: its consumer's connection is closed");
                    let _ = write_slices(wire, &mut [IoSlice::new(&internal_error())]).await;
                }
            }
            connection.tell(Signal::Gone);
            break;
        }
        if next == Next::Finish {
            break;
        }
    }
    wire.shut_down();
    connection.outbox.writer_is_done();
    connection.drained();
}

async fn write(wire: &Wire, out: &OutBuffer) -> Result<(), Broken> {
    let mut slices = Vec::new();
    for piece in out.pieces() {
        match piece {
            Piece::Bytes(bytes) => slices.push(IoSlice::new(bytes)),
            Piece::Blob(frames) => {
                write_slices(wire, &mut slices).await?;
                slices.clear();
                // They are rare, and not every writer shall have the room for one.
                Box::pin(write_blob(wire, frames)).await?;
            }
        }
    }
    write_slices(wire, &mut slices).await?;
    Ok(())
}

async fn write_slices(wire: &Wire, mut rest: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !rest.is_empty() {
        let written = wire.write(rest.get(..SLICES_MAX).unwrap_or(rest)).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

/// Writes the frames of a body, a few at a time.
async fn write_blob(wire: &Wire, body: &BlobFrames) -> Result<(), Broken> {
    let mut buffer = Vec::new();
    let mut at = 0;
    while at < body.body_len() {
        let body = body.clone();
        let read = spawn_blocking(move || {
            let next = body.read(at, BLOB_READ_BYTES_MAX, &mut buffer);
            (next, buffer)
        });
        let (next, filled) = read.await.map_err(|error| Broken::Body(io::Error::other(error)))?;
        buffer = filled;
        at = next.map_err(Broken::Body)?;
        write_slices(wire, &mut [IoSlice::new(&buffer)]).await?;
    }
    Ok(())
}

/// The last word to a client that cannot be given what it was promised.
fn internal_error() -> Vec<u8> {
    let text = format!("{} - a message cannot be read", ReplyCode::InternalError.name());
    let close =
        ConnectionClose { reply_code: ReplyCode::InternalError.code(), reply_text: &text, class_id: 0, method_id: 0 };
    let mut frame = Vec::new();
    Method::from(close).write_frame(0, &mut frame);
    frame
}
