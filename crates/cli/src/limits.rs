//! How long tools wait, and how much they take.

use std::time::Duration;

/// How long a node may take for an answer, if nothing else is said; RabbitMQ's tools wait as long for a list.
pub(crate) const REQUEST: Duration = Duration::from_secs(60);
/// How long `ping` tells it waits.
pub(crate) const PING: Duration = Duration::from_secs(60);
/// How long `await_startup` waits.
pub(crate) const STARTUP: Duration = Duration::from_secs(300);
/// How long `wait` waits.
pub(crate) const WAIT: Duration = Duration::from_secs(10);
/// How long `await_online_quorum_plus_one` waits.
pub(crate) const QUORUM: Duration = Duration::from_secs(120);
/// How often a node that starts or ends is asked again.
pub(crate) const POLL: Duration = Duration::from_millis(20);
/// How long a node may take to end.
pub(crate) const STOP: Duration = Duration::from_secs(600);
/// How long a listener may take to accept a connection.
pub(crate) const CONNECT: Duration = Duration::from_secs(30);
/// Lines of the log that `log_tail` shows.
pub(crate) const LOG_LINES: u64 = 50;
/// Bytes of a message that `peek` shows.
pub(crate) const PEEK_BYTES: usize = 64;
