//! Messaging patterns written with lapin, one module a topic.
//!
//! The tests start the built broker (`LEVERET_BIN`, or the one under `target/`) or use the one that `AMQP_URL` names.

mod acknowledgements;
mod bodies;
mod cancellation;
mod channels;
mod competing_consumers;
mod confirms;
mod consumers;
mod durable_subscribers;
mod errors;
mod exchanges;
mod get;
mod heartbeats;
mod life_cycles;
mod login;
mod prefetch;
mod properties;
mod queues;
mod recovery;
mod request_reply;
mod returns;
mod transactions;
mod tutorials;
