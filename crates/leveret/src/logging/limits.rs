//! What a log may take.

use std::time::Duration;

/// Lines that wait to be carried out of the process. One more is lost.
pub(super) const WAITING_MAX: usize = 512;

/// Bytes of such a line.
pub(super) const ENTRY_BYTES_MAX: usize = 64 * 1024;

/// How long a syslog may take to accept a connection, or bytes.
pub(super) const SYSLOG_PATIENCE: Duration = Duration::from_secs(1);

/// How long a syslog that could not be reached is left alone.
pub(super) const SYSLOG_PAUSE: Duration = Duration::from_secs(1);

/// How long the end of the program waits for lines to be carried out.
pub(super) const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// How often it looks whether they are.
pub(super) const FLUSH_LOOK: Duration = Duration::from_millis(5);
