//! The eight octets with which a client opens a connection.

pub use crate::wire::PROTOCOL_HEADER;
