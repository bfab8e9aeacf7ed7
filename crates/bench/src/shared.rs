//! What the threads of a run share.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;

use crate::client::Alarm;
use crate::latency::{Latency, Recorder};
use crate::report::Report;

/// No time has come yet.
const NEVER_NS: u64 = u64::MAX;

/// What the threads of a run share. Counters are added to once a batch.
pub struct Shared {
    /// Messages written, or about to be.
    pub published: AtomicU64,
    /// Deliveries read.
    pub consumed: AtomicU64,
    /// Publishes confirmed.
    pub confirmed: AtomicU64,
    /// Publishes refused.
    pub refused: AtomicU64,
    /// The zero of the one clock that all times in messages are of.
    start: Instant,
    window_begin_ns: AtomicU64,
    window_end_ns: AtomicU64,
    producers_stop: AtomicBool,
    everyone_stops: AtomicBool,
    noted: Mutex<Noted>,
    failure: Mutex<Option<anyhow::Error>>,
}

/// What threads tell at their end, or seldom.
#[derive(Default)]
struct Noted {
    confirm_latencies: Recorder,
    latencies: Recorder,
    send_delays: Recorder,
    unsent: u64,
    blocked: Option<String>,
}

impl Shared {
    /// The state of a run that begins now.
    pub fn new() -> Self {
        Self {
            published: AtomicU64::new(0),
            consumed: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            start: Instant::now(),
            window_begin_ns: AtomicU64::new(NEVER_NS),
            window_end_ns: AtomicU64::new(NEVER_NS),
            producers_stop: AtomicBool::new(false),
            everyone_stops: AtomicBool::new(false),
            noted: Mutex::default(),
            failure: Mutex::default(),
        }
    }

    /// Nanoseconds since the run began.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether producers go on publishing.
    pub fn is_loading(&self) -> bool {
        !self.producers_stop.load(Ordering::Relaxed)
    }

    /// Whether what happens now counts.
    pub fn is_measuring(&self) -> bool {
        let Range { start, end } = self.window();
        start != NEVER_NS && end == NEVER_NS
    }

    /// The times that count.
    pub fn window(&self) -> Range<u64> {
        self.window_begin_ns.load(Ordering::Relaxed)..self.window_end_ns.load(Ordering::Relaxed)
    }

    /// From now on everything counts.
    pub fn begin_window(&self) {
        self.window_begin_ns.store(self.now_ns(), Ordering::Relaxed);
    }

    /// What comes now does not count.
    pub fn end_window(&self) {
        self.window_end_ns.store(self.now_ns(), Ordering::Relaxed);
    }

    /// When producers were, or are, to stop.
    pub fn producers_end_ns(&self) -> u64 {
        self.window().end.min(self.now_ns())
    }

    /// Deliveries that what was published and not refused makes.
    pub fn accepted(&self, copies: u64) -> u64 {
        let refused = self.refused.load(Ordering::Relaxed);
        self.published.load(Ordering::Relaxed).saturating_sub(refused) * copies
    }

    /// Adds what one producer has measured.
    pub fn note_confirm_latencies(&self, latencies: &Recorder) {
        self.noted().confirm_latencies.add(latencies);
    }

    /// Adds what one consumer has measured.
    pub fn note_latencies(&self, latencies: &Recorder) {
        self.noted().latencies.add(latencies);
    }

    /// Adds how well one producer has kept to its schedule.
    pub fn note_send_delays(&self, delays: &Recorder, unsent: u64) {
        let mut noted = self.noted();
        noted.send_delays.add(delays);
        noted.unsent += unsent;
    }

    /// Tells people, once, that the broker does not read publishers any more, and why.
    pub fn note_alarm(&self, alarm: Alarm) {
        let Alarm::Blocked(reason) = alarm else {
            return;
        };
        let mut noted = self.noted();
        if noted.blocked.is_none() {
            eprintln!("the broker blocks publishers: {reason}");
            noted.blocked = Some(reason);
        }
    }

    /// Puts what the threads have told into the report.
    pub fn finish(&self, report: &mut Report) {
        let mut noted = self.noted();
        report.confirm_latency = noted.confirm_latencies.summary();
        report.latency = noted.latencies.summary();
        report.send_delay = noted.send_delays.summary();
        report.unsent = noted.unsent;
        report.refused = self.refused.load(Ordering::Relaxed);
        report.blocked = noted.blocked.take();
    }

    /// The summary of all that was measured, so far.
    pub fn latency(&self) -> Option<Latency> {
        self.noted().latencies.summary()
    }

    /// Whether the run is over for everyone.
    pub fn is_over(&self) -> bool {
        self.everyone_stops.load(Ordering::Relaxed)
    }

    /// Ends the run if a thread failed; the first failure is the one reported.
    pub fn end_on_error(&self, outcome: Result<()>) {
        if let Err(error) = outcome
            && !self.is_over()
        {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(error);
            self.stop();
        }
    }

    /// Ends publishing.
    pub fn stop_producers(&self) {
        self.producers_stop.store(true, Ordering::Relaxed);
    }

    /// Ends the run for everyone.
    pub fn stop(&self) {
        self.stop_producers();
        self.everyone_stops.store(true, Ordering::Relaxed);
    }

    /// The first failure of a thread, if there was one.
    ///
    /// # Errors
    /// That failure.
    pub fn take_failure(&self) -> Result<()> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take().map_or(Ok(()), Err)
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
