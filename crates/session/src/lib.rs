//! AMQP connections and channels as machines without IO: bytes go in, engine calls and bytes come out.
//!
//! The way of a message: the server reads a batch of bytes and gives it to [`connection::Connection::feed`]. Whole frames are
//! cut out; publishes and acknowledgements are gathered (`batch`); any other method first carries out what was gathered. A
//! publish whose three frames lie in one read is never copied here. Deliveries come from the engine to the
//! [`outbox::Outbox`], which numbers them, remembers them until they are settled and encodes them under one lock, so that
//! the order of tags is the order on the wire. Little is written to the socket on the spot ([`direct`]): by the reader at the end
//! of its batch, by another connection's reader, by the journal's thread. The server's writer swaps the outbox out when there is
//! more, or the socket is full; confirms that became durable meanwhile are added at that moment, as one cumulative ack a channel.
//!
//! Replies that tell of something durable are held in the outbox until it is ([`outbox`]); a method whose reply has its place
//! among deliveries stalls the machine until none is held ([`stall`]). Large bodies go piece by piece to the journal's blob
//! store (`body`), and come back as [`outbox::Piece::Blob`], which the writer reads while it writes.
//!
//! Invariants
//! - Lock order: a queue, then an outbox. Nothing here calls into a queue while it holds an outbox.
//! - A return goes out before the confirm of its message; a cumulative ack never covers what is not durable.
//! - Replies go out in the order of their methods, whatever they wait for.
//! - No memory is taken for what a client announces, only for what it sends.
//! - Before a channel's close goes out its consumers are gone and its deliveries are back in their queues.
//!
//! Must not depend on: tokio, the store, clocks. The server tells when something took too long.
#![forbid(unsafe_code)]

pub mod about;
mod acks;
pub mod alarms;
mod basic_methods;
mod batch;
mod body;
mod carbon_copy;
mod channel;
mod channel_methods;
pub mod config;
mod confirm;
pub mod connection;
pub mod counters;
pub mod direct;
mod encode;
mod error;
mod exchange_methods;
mod handshake;
pub mod heartbeat;
mod held;
pub mod limits;
pub mod login;
pub mod outbox;
mod outlet;
mod outstanding;
mod owned_queues;
mod publish;
mod publish_checks;
pub mod publish_once;
mod queue_methods;
mod reply_to;
pub mod report;
mod route_cache;
pub mod sasl;
mod sent;
pub mod stall;
mod stream;
mod timeout;
mod tx;
mod unacked;
