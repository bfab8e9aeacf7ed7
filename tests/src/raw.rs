//! An AMQP 0-9-1 client made of bytes: it shares no code with the broker, so that both cannot be wrong in the same way.
//!
//! [`wire`] builds and reads octets, [`methods`] knows the argument layouts, [`socket`] sends and expects single frames and
//! can stop in the middle of a handshake, [`connection`], [`channel`] and [`operations`] make a small synchronous client of it.

pub mod channel;
pub mod connection;
pub mod ids;
pub mod methods;
pub mod names;
pub mod operations;
pub mod socket;
pub mod wire;

pub use channel::{Channel, Incoming};
pub use connection::Connection;
pub use ids::Id;
pub use methods::{Flag, Method, Props};
pub use names::Names;
pub use operations::{Declared, Delivery, Returned, wait_until};
pub use socket::{Event, Frame, Socket, Stage};
pub use wire::{Args, Table, Value, none, table};
