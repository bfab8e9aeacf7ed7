//! Streams: offsets, credit, filters, durability, retention, restarts; alone and against a naive model.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "a test")]

mod bench;
mod cases;
mod model;
