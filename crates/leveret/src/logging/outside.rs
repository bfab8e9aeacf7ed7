//! Lines of the log that leave the process, or go where a line takes its time. Nobody waits for them: a thread of its own carries
//! them, and where too many wait, those that come then are lost, which is told.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::format::Told;
use super::limits::{ENTRY_BYTES_MAX, FLUSH_LOOK, FLUSH_PATIENCE, WAITING_MAX};
use super::time::Moment;

thread_local! {
    /// What is logged here comes of carrying lines, and is carried nowhere: there would be no end to it.
    static CARRIES: Cell<bool> = const { Cell::new(false) };
}

/// A line of the log.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: Moment,
    pub(super) level: Level,
    pub(super) text: String,
    /// Where it comes from: file and line of the source.
    pub(super) source: Option<(&'static str, u32)>,
}

impl Entry {
    fn lost(number: u64) -> Self {
        let text = format!("{number} lines of the log were lost: they came too fast, or could not be delivered");
        Self { at: Moment::now(), level: Level::WARN, text, source: None }
    }
}

/// How the text of a line looks.
type Shape = Box<dyn Fn(&Told, Moment, &Metadata<'_>) -> String + Send + Sync>;

/// Gives what is logged to a carrier.
pub(super) struct Outside {
    shape: Shape,
    carrier: Carrier,
}

impl Outside {
    pub(super) fn new(
        carrier: Carrier,
        shape: impl Fn(&Told, Moment, &Metadata<'_>) -> String + Send + Sync + 'static,
    ) -> Self {
        Self { shape: Box::new(shape), carrier }
    }
}

impl<S: Subscriber> Layer<S> for Outside {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if CARRIES.get() {
            return;
        }
        let (at, about) = (Moment::now(), event.metadata());
        let mut text = (self.shape)(&Told::of(event), at, about);
        text.truncate(text.floor_char_boundary(ENTRY_BYTES_MAX));
        let source = about.file().zip(about.line());
        self.carrier.give(Entry { at, level: *about.level(), text, source });
    }
}

/// Takes lines to a thread that carries them.
#[derive(Clone, Debug)]
pub(super) struct Carrier {
    row: SyncSender<Entry>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicUsize,
    lost: AtomicU64,
}

impl Carrier {
    /// Starts the thread. `carry` says whether a line got there.
    pub(super) fn start(name: &str, carry: impl FnMut(&Entry) -> bool + Send + 'static) -> std::io::Result<Self> {
        let (row, waiting) = sync_channel(WAITING_MAX);
        let counts = Arc::<Counts>::default();
        let counted = Arc::clone(&counts);
        thread::Builder::new().name(name.to_owned()).spawn(move || carry_all(&waiting, &counted, carry))?;
        Ok(Self { row, counts })
    }

    fn give(&self, entry: Entry) {
        self.counts.waiting.fetch_add(1, Ordering::AcqRel);
        if self.row.try_send(entry).is_err() {
            self.counts.waiting.fetch_sub(1, Ordering::AcqRel);
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits a little until all lines are carried.
    pub(super) fn flush(&self) {
        let end = Instant::now() + FLUSH_PATIENCE;
        while self.counts.waiting.load(Ordering::Acquire) > 0 && Instant::now() < end {
            thread::sleep(FLUSH_LOOK);
        }
    }
}

fn carry_all(row: &Receiver<Entry>, counts: &Counts, mut carry: impl FnMut(&Entry) -> bool) {
    CARRIES.set(true);
    for entry in row {
        let lost = counts.lost.swap(0, Ordering::Relaxed);
        if lost > 0 && !carry(&Entry::lost(lost)) {
            counts.lost.fetch_add(lost, Ordering::Relaxed);
        }
        if !carry(&entry) {
            counts.lost.fetch_add(1, Ordering::Relaxed);
        }
        counts.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::mpsc::{channel, sync_channel};
    use std::time::Duration;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    pub(crate) fn entry(text: &str) -> Entry {
        Entry { at: Moment::now(), level: Level::INFO, text: text.to_owned(), source: None }
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn lines_that_are_too_many_are_counted() {
        let (gate, opened) = sync_channel::<()>(0);
        let (told, texts) = channel();
        let mut is_open = false;
        let carrier = Carrier::start("test", move |entry| {
            let is_told = told.send(entry.text.clone()).is_ok();
            if !is_open {
                let _ = opened.recv();
                is_open = true;
            }
            is_told
        })
        .unwrap();
        carrier.give(entry("first"));
        // The carrier is at work on it: the row is empty.
        assert_eq!(texts.recv_timeout(PATIENCE).unwrap(), "first");
        for number in 0..WAITING_MAX + 2 {
            carrier.give(entry(&number.to_string()));
        }
        gate.send(()).unwrap();
        assert!(texts.recv_timeout(PATIENCE).unwrap().starts_with("2 lines of the log were lost"));
        assert_eq!(texts.recv_timeout(PATIENCE).unwrap(), "0");
    }

    #[test]
    fn lines_that_did_not_get_there_are_counted() {
        let (told, texts) = channel();
        let mut number = 0;
        let carrier = Carrier::start("test", move |entry| {
            number += 1;
            number > 2 && told.send(entry.text.clone()).is_ok()
        })
        .unwrap();
        for text in ["one", "two", "three"] {
            carrier.give(entry(text));
        }
        // Neither the first line nor the word about it got there.
        assert_eq!(texts.recv_timeout(PATIENCE).unwrap(), "two");
        assert!(texts.recv_timeout(PATIENCE).unwrap().starts_with("1 lines of the log were lost"));
        assert_eq!(texts.recv_timeout(PATIENCE).unwrap(), "three");
        let start = Instant::now();
        while carrier.counts.waiting.load(Ordering::Acquire) > 0 {
            assert!(start.elapsed() < PATIENCE);
            carrier.flush();
        }
    }

    #[test]
    fn what_a_carrier_logs_is_not_carried() {
        let (told, texts) = channel();
        let dispatch = Arc::new(std::sync::OnceLock::<tracing::Dispatch>::new());
        let own = Arc::clone(&dispatch);
        let carrier = Carrier::start("test", move |entry| {
            if let Some(dispatch) = own.get() {
                tracing::dispatcher::with_default(dispatch, || tracing::info!("carried: {}", entry.text));
            }
            told.send(entry.text.clone()).is_ok()
        })
        .unwrap();
        let outside = Outside::new(carrier, |told, _, _| told.text());
        let subscriber = tracing_subscriber::registry().with(outside);
        let logged = dispatch.get_or_init(|| subscriber.into());
        tracing::dispatcher::with_default(logged, || {
            tracing::info!("one");
            tracing::info!(size = 2, "{}", "x".repeat(ENTRY_BYTES_MAX));
            tracing::info!("end");
        });
        assert_eq!(texts.recv_timeout(PATIENCE).unwrap(), "one");
        assert_eq!(texts.recv_timeout(PATIENCE).unwrap(), "x".repeat(ENTRY_BYTES_MAX));
        assert_eq!(texts.recv_timeout(PATIENCE).unwrap(), "end");
    }
}
