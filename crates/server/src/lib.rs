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

mod accept;
mod alarms;
pub mod auth;
mod clock;
mod config;
mod connection;
mod error;
pub mod limits;
mod limits_in_force;
mod listener;
mod memory;
pub mod node;
mod notices;
pub mod program;
pub mod proxy_protocol;
mod reader;
mod readings;
mod seed;
mod server;
pub mod statistics;
mod storage;
mod terms;
mod ticker;
mod timers;
pub mod tls;
mod wire;
mod writer;

pub use config::{ListenerConfig, ServerConfig, SocketOptions, StoreConfig};
pub use error::Error;
pub use limits_in_force::{DiskLimit, Watermark};
pub use node::Node;
pub use seed::Seed;
pub use server::Server;
pub use terms::Terms;

pub use leveret_engine as engine;
pub use leveret_session as session;
pub use leveret_store::Durability;
