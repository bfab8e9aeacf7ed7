//! The numbers that bound frames and tables.

/// The smallest `frame_max` that a peer may ask for, in bytes.
pub const FRAME_MIN_SIZE: usize = 4096;

/// Octets of a frame that are not payload: type, channel, size, end.
pub const FRAME_OVERHEAD: usize = 8;

/// Octets before the payload: type, channel, size.
pub const FRAME_HEADER_SIZE: usize = 7;

/// How many bytes of payload are forgiven above the negotiated limit: clients forget the overhead when they cut bodies.
pub const FRAME_SIZE_FUDGE: usize = FRAME_OVERHEAD;

/// The longest short string, in bytes.
pub const SHORTSTR_MAX: usize = u8::MAX as usize;

/// How many levels of tables and arrays may lie in each other; the table itself is the first.
pub const TABLE_DEPTH_MAX: usize = 128;

/// How many values a table may hold, counting those of the tables and arrays in it. An empty value costs a peer one
/// byte and us some forty, so this bounds what a frame can grow to.
pub const TABLE_ENTRIES_MAX: usize = 65_536;

/// How many bytes of a payload an error text shows.
pub const PAYLOAD_PREFIX_SIZE: usize = 16;
