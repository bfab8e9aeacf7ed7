//! Every bound of the session, by name.

use std::time::Duration;

/// A read is worked off in pieces of at most this many bytes, or of one frame.
pub const BATCH_BYTES_MAX: usize = 128 * 1024;

/// Largest frame before tuning.
pub const PRE_TUNE_FRAME_BYTES_MAX: usize = 8192;

/// Largest frame where both sides want no limit (a frame_max of 0): the largest body that RabbitMQ allows goes into one.
pub const UNLIMITED_FRAME_BYTES_MAX: usize = 512 * 1024 * 1024;

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

/// What waits to be sent is sent on the spot, by whoever added it, if it is no more than this; the writer sends more. Enough for
/// replies, confirms and single deliveries; where there is more, another core may do it meanwhile.
pub const SENT_HERE_BYTES_MAX: usize = 4 * 1024;

/// A batch of publishes that reaches more connections than this leaves the sending to their writers, so that more comes
/// together for each write: with 1,000 queues of a consumer each, a delivery costs a third of what it costs on the spot.
pub const SENT_HERE_OUTLETS_MAX: usize = 4;

/// A connection keeps at most this many buffers with room to be used again.
pub const SENT_BUFFERS_KEPT_MAX: usize = 2;

/// Messages that are unacknowledged may hold this much more than four times their own bytes.
pub const SENT_SLACK_BYTES: usize = 256 * 1024;

/// While so many bytes wait for a client, nothing it asks for is answered, and it is not listened to.
pub const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// Longest reply text.
pub const REPLY_TEXT_BYTES_MAX: usize = 255;

/// Larger bodies are not held in memory, where there is anywhere else for them.
pub const BODY_IN_MEMORY_BYTES_MAX: u64 = 256 * 1024;

/// Pieces of large bodies of at least this many bytes are taken as they lie in the read buffer. Smaller ones are copied
/// together, so that they do not pin more of it than they are worth...
pub const BLOB_SLICE_BYTES_MIN: usize = 32 * 1024;

/// ...until they are this many bytes.
pub const BLOB_GATHER_BYTES: usize = 64 * 1024;

/// What a body that is not in memory counts for in an outbox: it takes hardly any, but a few of them shall be enough.
pub const BLOB_WEIGHT_BYTES: usize = 32 * 1024;

/// No body may be larger than this, unless larger messages are configured (behaviour: RabbitMQ's limit)...
pub const BODY_BYTES_CAP: u64 = 512 * 1024 * 1024;

/// ...and none may be larger than this, whatever is configured: a body that no client holds in one piece is a mistake.
pub const CONFIGURED_BODY_BYTES_CAP: u64 = 4 * 1024 * 1024 * 1024;

/// The age of deliveries that have to be acknowledged in time is known to one of so many parts of the timeout.
pub const TIMEOUT_NOTES_MAX: u64 = 32;
