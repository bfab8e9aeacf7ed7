//! Every bound of the engine, by name.

/// A routing key and the name of an exchange are short strings on the wire: what is longer is cut in messages.
pub const SHORT_STRING_BYTES_MAX: usize = 255;

/// Most messages moved during one hold of a queue's lock.
pub const MESSAGES_A_HOLD_MAX: usize = 256;

/// Bodies of at least this many bytes are shared, smaller ones are copied, so that a small message never pins a large
/// read buffer.
pub const SHARED_BODY_BYTES_MIN: usize = 4096;

/// Messages for one queue that are copied together, so that the last of them keeps no more than this in memory.
pub const COPIED_TOGETHER_BYTES_MAX: usize = 32 * 1024;

/// Most holds of its lock that a queue takes when it is due, before others get their turn.
pub const HOLDS_A_TIMER_MAX: usize = 16;

/// A queue that is due while the journal is full tries again after so long.
pub const JOURNAL_FULL_RETRY_MS: u64 = 10;

/// A dead letter that no queue has taken is tried again after so long.
pub const DEAD_LETTER_RETRY_MS: u64 = 1000;

/// Most dead letters of a queue that are tried at once.
pub const DEAD_LETTERS_TRIED_MAX: usize = 32;

/// How long a returned message waits for the first time where a queue delays them without saying for how long.
pub const RETRY_MIN_MS: u64 = 1000;

/// Most timers that are due at once and let work before others get their turn.
pub const TIMERS_A_HOLD_MAX: usize = 64;

/// A queue in which messages expire anywhere looks for them no more often than this, in milliseconds.
pub const SWEEP_PAUSE_MS: u64 = 100;

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

/// A segment of a stream is finished at this size, unless the stream's arguments say another (behaviour: RabbitMQ's default).
pub const STREAM_SEGMENT_BYTES: u64 = 500_000_000;

/// What a message of a stream counts for beside its names, properties and body.
pub const STREAM_MESSAGE_BYTES: u64 = 40;

/// A stream that can be read back keeps at most so many of its newest messages in memory, for consumers that are close...
pub const STREAM_RECENT_MESSAGES_MAX: usize = 4096;

/// ...of at most so many bytes.
pub const STREAM_RECENT_BYTES_MAX: u64 = 1024 * 1024;

/// A consumer of a stream reads at most this many bytes at once, or one message. It may hold two such pages.
pub const STREAM_PAGE_BYTES_MAX: usize = 256 * 1024;

/// How deep the terms of a JMS selector may be nested.
pub const SELECTOR_DEPTH_MAX: usize = 128;

/// Delayed messages that are due are read together, if no more others than this lie between two of them.
pub const DELAY_GAP_MAX: u64 = 16;

/// Most batches of [`MESSAGES_A_HOLD_MAX`] delayed messages that go out when a page was read: all of it, and some...
pub const DELAY_BATCHES_A_PAGE_MAX: usize = 32;

/// ...and when the timer is due.
pub const DELAY_BATCHES_A_TIMER_MAX: usize = 4;

/// Most delayed messages that are looked at during one hold of the lock by those who administer.
pub const DELAYS_LISTED_A_HOLD_MAX: usize = 4096;

/// Most messages of a queue that are looked at in one go by those who administer.
pub const BROWSED_MESSAGES_MAX: usize = 1024;

/// A setting's JSON has at most so many bytes.
pub const SETTING_BYTES_MAX: usize = 1024 * 1024;
