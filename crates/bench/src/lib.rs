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
//! With a rate, producers keep to a `pace` that was fixed before, and each message carries the time when it was due; the
//! consumer records how long ago that was. All times are of one monotonic clock in one process.
//!
//! `churn` makes and removes connections, channels and queues; `count` makes many and leaves them idle.
//!
//! The [`relay`] is a peer for comparison: the least work that still looks like a broker, which is the machine's limit.
//! `disk` measures the other limit: what the disk itself can do. `backlog` fills a queue, lets it wait and empties it.
//!
//! # Invariants
//! * Nothing is allocated, encoded or decoded for each message while the load runs, but for one ack a batch and the time
//!   in a body.
//! * Shared counters are touched once a read or a write, never once a message.
//! * Nobody spins: who has nothing to do sleeps until the next message is due, or in a read.
//! * Every wait has an end: a run takes its time and at most some seconds more.
//!
//! # Must not depend on
//! The broker. Of this workspace only the codec is used.

mod args;
mod argument;
mod backlog;
mod batch;
mod churn;
mod client;
mod command;
mod confirm;
mod connect;
mod consumer;
mod count;
pub mod cpu;
mod disk;
mod exchange;
mod latency;
mod load;
mod pace;
mod plan;
mod producer;
mod progress;
pub mod relay;
mod report;
mod resources;
mod shared;
mod url;
mod walk;

pub use args::BenchArgs;
pub use argument::Argument;
pub use backlog::{BacklogArgs, BacklogReport};
pub use churn::{ChurnArgs, ChurnReport};
pub use command::BenchCommand;
pub use connect::ConnectArgs;
pub use count::{CountArgs, CountReport};
pub use disk::{DiskArgs, DiskPoint};
pub use exchange::ExchangeKind;
pub use latency::Latency;
pub use load::run;
pub use report::{BrokerUsage, Report};
pub use url::Target;
