//! The clock that the broker goes by.

use std::time::{Instant, SystemTime};

use leveret_engine::clock::Clock;

/// The wall clock as it was at the start, and what has passed since: it neither jumps nor goes back when the system's time is set.
#[derive(Debug)]
pub(crate) struct SystemClock {
    start_ms: u64,
    start: Instant,
}

impl SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is where the time comes from")]
    pub(crate) fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { start_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX), start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        self.start_ms.saturating_add(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}
