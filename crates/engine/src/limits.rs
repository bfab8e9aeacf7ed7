//! Every bound of the engine, by name.

/// Most messages moved during one hold of a queue's lock.
pub const MESSAGES_A_HOLD_MAX: usize = 256;

/// Bodies of at least this many bytes are shared, smaller ones are copied, so that a small message never pins a large
/// read buffer.
pub const SHARED_BODY_BYTES_MIN: usize = 4096;

/// Messages for one queue that are copied together, so that the last of them keeps no more than this in memory.
pub const COPIED_TOGETHER_BYTES_MAX: usize = 32 * 1024;

/// Most timers that are due at once and let work before others get their turn.
pub const TIMERS_A_HOLD_MAX: usize = 64;

/// An outlet that holds more than this many bytes takes no more deliveries...
pub const OUTLET_FULL_BYTES: usize = 256 * 1024;

/// ...until it holds less than this many.
pub const OUTLET_ROOM_BYTES: usize = 64 * 1024;

/// A page read back holds at most this many messages...
pub const PAGE_MESSAGES_MAX: usize = 4096;

/// ...and this many bytes, or one message...
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// ...or this many where the memory budget is used up.
pub const SCARCE_PAGE_BYTES_MAX: usize = 128 * 1024;

/// A queue with fewer ready messages in memory keeps new ones there, whatever the memory budget says.
pub const RESIDENT_MESSAGES_MIN: usize = 16;

/// What a message in memory takes beside its own bytes, roughly.
pub const ENTRY_BYTES: u64 = 96;

/// A queue tells the memory budget of changes of at least this many bytes.
pub const BUDGET_LUMP_BYTES: u64 = 4096;

/// A queue takes little of the memory budget with less than one of so many parts of it...
pub const LITTLE_PART: u64 = 64;

/// ...and such queues may go beyond the budget by one of so many parts of it.
pub const BEYOND_PART: u64 = 4;
