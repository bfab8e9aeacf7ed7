//! Every bound of the engine, by name.

/// Most messages moved during one hold of a queue's lock.
pub const MESSAGES_A_HOLD_MAX: usize = 256;

/// Bodies of at least this many bytes are shared, smaller ones are copied, so that a small message never pins a large
/// read buffer.
pub const SHARED_BODY_BYTES_MIN: usize = 4096;

/// An outlet that holds more than this many bytes takes no more deliveries...
pub const OUTLET_FULL_BYTES: usize = 256 * 1024;

/// ...until it holds less than this many.
pub const OUTLET_ROOM_BYTES: usize = 64 * 1024;
