//! Sockets, tasks and timers around the engine and its sessions.
//!
//! A connection is two tasks: a reader that feeds its machine with batches of bytes, and a writer that swaps its outbox out
//! and writes it when there is more than is written on the spot. One ticker looks after the heartbeats of all. Nothing else runs:
//! queues have no tasks.
//!
//! Invariants
//! - Tasks are never aborted: they end when they are told, and the reader's end cleans up after its connection.
//! - No lock is held across an await.
//!
//! Must not depend on: the command line, the management API.
#![forbid(unsafe_code)]

mod alarms;
mod clock;
mod config;
mod connection;
mod error;
mod listener;
mod memory;
mod notices;
mod reader;
mod server;
mod storage;
mod ticker;
mod timers;
mod wire;
mod writer;

pub use config::{ServerConfig, StoreConfig};
pub use error::Error;
pub use server::Server;

pub use leveret_engine as engine;
pub use leveret_store::Durability;
