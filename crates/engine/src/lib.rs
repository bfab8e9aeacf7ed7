//! Exchanges, routing, queues and consumers: what an AMQP broker decides, without sockets, files, clocks or tasks.
//!
//! The life of a message here: [`vhost::Vhost::route`] turns exchange and routing key into the set of queues (cached by
//! the caller, good while generations stand still); [`publish::PublishBatch::carry_out`] groups a batch by queue, and per
//! queue takes one short lock in which messages go straight to waiting consumers or into the ready list; consumers are
//! [`outlet::Outlet`]s, which number, remember and encode what they are given; acknowledgements come back by
//! [`queue::Queue::settle`], requeues by [`queue::Queue::requeue`]. What has to survive goes to the [`journal::Journal`] on the
//! way. When waiting messages have used up the [`memory::MemoryBudget`], queues keep their first ones in memory, leave the
//! rest to the journal, and ask for them page by page as they are wanted.
//! Streams ([`stream`]) keep what was read: they only append, and each consumer reads at its own place.
//!
//! Invariants
//! - Lock order: the administration's, then a vhost's topology, then one queue, then an outlet, then the journal. Never two queues at once: what
//!   follows for others is written down in [`effects::Effects`] and carried out after the unlock.
//! - While a queue holds ready messages in memory, no consumer in its ring could take one; while it holds others only, it reads.
//! - A queue's messages are in order of their position (`seq`), whatever was returned to it.
//! - A name in a registry is removed before its entity is emptied; who still holds the entity finds it marked deleted.
//!
//! Must not depend on: tokio, the session, the store, clocks or randomness (they come in as arguments).
#![forbid(unsafe_code)]

pub mod admin;
pub mod admission;
pub mod broker;
pub mod clock;
pub mod counters;
pub mod definitions;
pub mod delay;
pub mod effects;
pub mod error;
pub mod events;
pub mod exchange;
pub mod interceptors;
pub mod journal;
pub mod json;
pub mod limits;
pub mod log;
pub mod memory;
pub mod message;
pub mod names;
pub mod notices;
pub mod outlet;
pub mod password;
pub mod permission;
pub mod policy;
pub mod publish;
pub mod queue;
pub mod registry;
pub mod restore;
pub mod services;
pub mod stream;
pub mod timers;
pub mod trace;
pub mod user;
pub mod vhost;
