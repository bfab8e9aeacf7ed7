//! Queues, exchanges, bindings, connections, channels, consumers and messages, by HTTP.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test")]

mod amqp;
mod clients;
#[path = "../common/mod.rs"]
mod common;
mod messages;
mod own;
mod queues;
mod speed;
mod topology;
mod types;
