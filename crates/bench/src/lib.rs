//! A load generator for any AMQP 0-9-1 broker that costs next to no CPU of its own, so that the broker is what is
//! measured.
//!
//! # The way of a message
//! A `batch` of publishes is encoded once; a `producer` writes it to its blocking socket again and again, as long as
//! the backlog and the confirm window leave room. The broker's output goes to a `consumer`, which does not decode it
//! but `walk`s from envelope to envelope, counts the deliveries and acknowledges them in batches. `load` starts the
//! threads and reads all counters, and the broker's [`cpu`] time, at both ends of the measured window; the `report` is
//! the difference.
//!
//! The [`relay`] is a peer for comparison: the least work that still looks like a broker, which is the machine's limit.
//! `disk` measures the other limit: what the disk itself can do. `backlog` fills a queue, lets it wait and empties it.
//!
//! # Invariants
//! * Nothing is allocated, encoded or decoded for each message while the load runs, but for one ack a batch.
//! * Shared counters are touched once a read or a write, never once a message.
//! * Every wait has an end: a run takes its time and at most some seconds more.
//!
//! # Must not depend on
//! The broker. Of this workspace only the codec is used.

mod args;
mod backlog;
mod batch;
mod client;
mod command;
mod confirm;
mod consumer;
pub mod cpu;
mod disk;
mod load;
mod plan;
mod producer;
pub mod relay;
mod report;
mod url;
mod walk;

pub use args::{BenchArgs, ExchangeKind};
pub use backlog::{BacklogArgs, BacklogReport};
pub use command::BenchCommand;
pub use disk::{DiskArgs, DiskPoint};
pub use load::run;
pub use report::{BrokerUsage, Latency, Report};
pub use url::Target;
