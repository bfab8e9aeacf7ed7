//! Everything a test file needs, by one import.

pub use std::time::{Duration, Instant};

pub use crate::broker::{Broker, Stop, peer, skip_without_process};
pub use crate::home::{Home, seal, skip_without_home};
pub use crate::raw::channel::Channel;
pub use crate::raw::connection::Connection;
pub use crate::raw::ids;
pub use crate::raw::methods::{self, Flag, Flag::*, Method, Props};
pub use crate::raw::names::{Names, unique};
pub use crate::raw::operations::{Delivery, wait_until};
pub use crate::raw::socket::{Event, Login, PATIENCE, PROTOCOL_HEADER, SILENCE, Socket, Stage, plain};
pub use crate::raw::wire::{Args, Table, Value, none, table};
pub use crate::speed::{Stopwatch, assert_within};

/// A new connection to the shared broker.
pub fn open() -> Connection {
    Connection::open(Broker::shared())
}

/// The first channel of a new connection to the shared broker.
pub fn open_channel() -> Channel {
    open().channel(1)
}

/// Texts as the helpers of this crate give them.
pub fn texts(expected: &[&str]) -> Vec<String> {
    expected.iter().map(|text| (*text).to_owned()).collect()
}
