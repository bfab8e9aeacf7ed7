//! Limits of the HTTP API, all in one place. Sources: RabbitMQ's defaults where it has one.

use std::time::Duration;

/// Connections that wait to be accepted (`management.tcp.backlog`).
pub const BACKLOG: u32 = 1024;

/// Largest body of a request, in bytes (`management.http.max_body_size`).
pub const BODY_BYTES_MAX: usize = 20_000_000;

/// Largest body of a request that needs no credentials, in bytes: a form with a name and a password.
pub const OPEN_BODY_BYTES_MAX: usize = 64 * 1024;

/// Longest name, and longest routing key, in bytes: AMQP has no longer ones.
pub const NAME_BYTES_MAX: usize = 255;

/// Rows on a page when it is not said.
pub const PAGE_SIZE: usize = 100;

/// Most rows on a page.
pub const PAGE_SIZE_MAX: usize = 500;

/// How often a regular expression over names may take a step back with one name.
pub const FILTER_BACKTRACKS_MAX: usize = 10_000;

/// Most steps of a column's path that are told apart: no row is deeper.
pub const COLUMN_STEPS_MAX: usize = 16;

/// Most samples of one number (behaviour: RabbitMQ's `MAX_RANGE`).
pub const SAMPLES_MAX: u64 = 500;

/// Longest time between two samples: a hundred years. What is kept is a day.
pub const SAMPLE_STEP_S_MAX: u64 = 100 * 365 * 86_400;

/// Most moments of which samples are told in one list, all rows together: there are a dozen numbers for each.
pub const LIST_MOMENTS_MAX: u64 = 20_000;

/// How long a browser may remember which origins are allowed, in seconds.
pub const CORS_MAX_AGE_S: u64 = 1800;

/// How long a login by the web page lasts, in minutes.
pub const LOGIN_SESSION_MIN: u64 = 8 * 60;

/// How long a password that was right is taken without computing its hash again.
pub const LOGIN_CACHE: Duration = Duration::from_secs(15);

/// Most users whose login is remembered.
pub const LOGIN_CACHE_MAX: usize = 256;

/// Most passwords whose hashes are computed at a time: they are made to cost much.
pub const LOGINS_AT_ONCE: usize = 2;

/// How long a client may take to send the head of a request.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a client may take to send the body of a request.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long connections that are in the middle of a request get when the broker stops.
pub const GOODBYE: Duration = Duration::from_secs(2);

/// How long accepting pauses when the system is out of file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Most connections to a listener at a time; who comes then waits until one goes.
pub const CONNECTIONS_MAX: usize = 1024;

/// Most pages of metrics that are made at a time: anybody may ask for them.
pub const SCRAPES_AT_ONCE: usize = 2;

/// Longest boundary between the parts of a form, in bytes. Source: RFC 2046.
pub const BOUNDARY_BYTES_MAX: usize = 70;

/// How long a client may take for the handshake of TLS.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// How long an answer waits for the disk.
pub const DURABLE_PATIENCE: Duration = Duration::from_secs(30);

/// Most messages that one request gets from a queue.
pub const GOT_MESSAGES_MAX: usize = 10_000;

/// Most bytes of their bodies, as they are written, or one message.
pub const GOT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Messages that are looked at in one go when it is not said...
pub const BROWSED_MESSAGES: u64 = 100;

/// ...and bytes of their bodies...
pub const BROWSED_BYTES: u64 = 1024 * 1024;

/// ...and most of them.
pub const BROWSED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Messages that are moved together...
pub const MOVED_BATCH_MESSAGES: usize = 256;

/// ...and bytes of their bodies, or one message.
pub const MOVED_BATCH_BYTES: u64 = 4 * 1024 * 1024;

/// Where messages are moved at a rate, it is done in so many steps a second.
pub const MOVED_BATCHES_A_SECOND: u64 = 10;
