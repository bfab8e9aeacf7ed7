//! Every bound of the session, by name.

use std::time::Duration;

/// A read is worked off in pieces of at most this many bytes, or of one frame.
pub const BATCH_BYTES_MAX: usize = 128 * 1024;

/// Largest frame before tuning.
pub const PRE_TUNE_FRAME_BYTES_MAX: usize = 8192;

/// Smallest frame_max that a client may ask for: kinder than RabbitMQ's 8192, for clients that still ask for 4096.
pub const FRAME_MAX_MIN: u32 = 4096;

/// The whole handshake has to be done within this time.
pub const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// How long a refused login waits before its socket is closed.
pub const REFUSED_PATIENCE: Duration = Duration::from_secs(3);

/// Longest wait for connection.close-ok.
pub const CLOSE_OK_PATIENCE: Duration = Duration::from_secs(30);

/// Routes that a connection remembers.
pub const ROUTES_CACHED_MAX: usize = 1024;

/// Bodies of at least this many bytes are written from where they lie, smaller ones are copied into the outgoing buffer.
pub const SPLICED_BODY_BYTES_MIN: usize = 4096;

/// Longest reply text.
pub const REPLY_TEXT_BYTES_MAX: usize = 255;
