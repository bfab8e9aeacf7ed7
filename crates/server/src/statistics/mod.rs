//! What happens in a node and how fast it goes, as RabbitMQ's tools ask for it.
//!
//! Counts lie where they are counted: in queues under their lock, on channels in counters with one writer, in exchanges told a
//! batch at a time. A sampler reads all of them every few seconds, and remembers what they were: rates are differences. What is
//! gone is added to sums, so that no total ever falls.

mod history;
mod sampler;
mod totals;

use std::time::Duration;

use hashbrown::HashMap;
use leveret_engine::counters::{ChurnCounts, ChurnRates};
use leveret_engine::names::{ConnectionId, Name, QueueId};
use leveret_session::counters::ConnectionCounts;
use leveret_session::report::Traffic;
use parking_lot::{Mutex, MutexGuard};

use history::History;
pub use history::{Point, PointRates, Series, Span, series};
pub(crate) use sampler::run;
pub use totals::{ConnectionTotals, QueueTotals};

use crate::statistics::sampler::Scope;

/// RabbitMQ's default for `collect_statistics_interval`.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// How long connections and channels are looked at after somebody has asked.
const ASKED_FOR_MS: u64 = 10 * 60 * 1000;

/// What vhosts that are gone go by: no vhost is called so.
const NAMELESS: &str = "";

/// Points of all histories together, the long ones left out.
const POINTS_MAX: usize = 100_000;

/// What happened, and how fast it goes.
#[derive(Debug)]
pub struct Statistics {
    interval: Duration,
    /// What happened on connections that are gone, and by none, by vhost. What happened in vhosts that are gone goes by no name.
    gone: Mutex<HashMap<Name, Gone>>,
    sampled: Mutex<Sampled>,
    /// What was told of queues so far.
    told: Mutex<QueueTotals>,
}

/// What happened on connections that are gone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gone {
    pub(crate) counts: ConnectionCounts,
    pub(crate) received: Traffic,
    pub(crate) sent: Traffic,
}

impl Gone {
    fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.received.add(other.received);
        self.sent.add(other.sent);
    }
}

/// Something that is sampled. There may be many of them: what can be found out from the rest is not kept.
#[derive(Debug)]
struct Track {
    last: Point,
    /// What it was before, as far back as is wanted.
    history: History,
    /// Since when it is as it is: when something happened there the last time, as far as that was seen.
    busy_ms: u64,
    /// How much of the time a message would have been delivered at once; below zero while that is not known.
    capacity: f32,
    /// The last round in which it was seen.
    round: u32,
}

#[derive(Debug, Default)]
struct Sampled {
    round: u32,
    at_ms: u64,
    /// When it was looked before that, and the first time.
    before_ms: u64,
    first_ms: u64,
    total: Option<Track>,
    churn: (u64, ChurnCounts, ChurnRates),
    vhosts: HashMap<Name, Track>,
    queues: HashMap<QueueId, Track>,
    exchanges: HashMap<(Name, Name), Track>,
    connections: HashMap<ConnectionId, Track>,
    channels: HashMap<(ConnectionId, u16), Track>,
    /// When somebody asked for connections or channels.
    asked_ms: Option<u64>,
}

/// What is known of something that is sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// What was counted when it was looked at the last time.
    pub last: Point,
    /// How fast that changed.
    pub rates: PointRates,
    /// When something happened there the last time: milliseconds since 1970, to the sampler's interval.
    pub busy_ms: u64,
    /// Of a queue: how much of the time a consumer was there for a message at once, from 0 to 1.
    pub consumer_capacity: f64,
}

impl Sampled {
    fn sample(&self, track: &Track) -> Sample {
        let Track { last, busy_ms, capacity, .. } = *track;
        Sample { last, rates: track.rates(self.before_ms), busy_ms, consumer_capacity: capacity.max(0.0).into() }
    }
}

impl Statistics {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, gone: Mutex::default(), sampled: Mutex::default(), told: Mutex::default() }
    }

    /// How often it is looked; zero for never.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// A queue; none before it was looked for the first time.
    #[must_use]
    pub fn queue(&self, id: QueueId) -> Option<Sample> {
        let sampled = self.sampled.lock();
        match sampled.queues.get(&id) {
            Some(track) => Some(sampled.sample(track)),
            // Nothing is kept of queues that were never used.
            None => (sampled.round > 0).then(|| Sample { busy_ms: sampled.first_ms, ..Sample::default() }),
        }
    }

    /// How much of the time a consumer was there for a message at once, of each of these queues.
    #[must_use]
    pub fn consumer_capacities(&self, queues: impl Iterator<Item = QueueId>) -> Vec<f64> {
        let sampled = self.sampled.lock();
        queues.map(|id| sampled.queues.get(&id).map_or(0.0, |track| track.capacity.max(0.0).into())).collect()
    }

    /// An exchange.
    #[must_use]
    pub fn exchange(&self, vhost: &Name, exchange: &Name) -> Option<Sample> {
        let key = (Name::clone(vhost), Name::clone(exchange));
        let sampled = self.sampled.lock();
        sampled.exchanges.get(&key).map(|track| sampled.sample(track))
    }

    /// A vhost.
    #[must_use]
    pub fn vhost(&self, vhost: &str) -> Option<Sample> {
        let sampled = self.sampled.lock();
        sampled.vhosts.get(vhost).map(|track| sampled.sample(track))
    }

    /// A connection. They are looked at for a while after somebody has asked for one: before that, there is nothing.
    #[must_use]
    pub fn connection(&self, id: ConnectionId) -> Option<Sample> {
        let mut sampled = self.sampled.lock();
        sampled.asked_ms = Some(sampled.at_ms);
        sampled.connections.get(&id).map(|track| sampled.sample(track))
    }

    /// A channel; the same.
    #[must_use]
    pub fn channel(&self, connection: ConnectionId, number: u16) -> Option<Sample> {
        let mut sampled = self.sampled.lock();
        sampled.asked_ms = Some(sampled.at_ms);
        sampled.channels.get(&(connection, number)).map(|track| sampled.sample(track))
    }

    /// The node.
    #[must_use]
    pub fn total(&self) -> Sample {
        let sampled = self.sampled.lock();
        sampled.total.as_ref().map(|track| sampled.sample(track)).unwrap_or_default()
    }

    /// What comes and goes, and how fast.
    #[must_use]
    pub fn churn(&self) -> (ChurnCounts, ChurnRates) {
        let (_, counts, rates) = self.sampled.lock().churn;
        (counts, rates)
    }

    /// When it was looked the last time: milliseconds since 1970.
    #[must_use]
    pub fn sampled_at_ms(&self) -> u64 {
        self.sampled.lock().at_ms
    }

    /// What a queue was like, the newest first; [`series`] makes samples of one number of it.
    #[must_use]
    pub fn queue_history(&self, id: QueueId, span: Span) -> Vec<Point> {
        let sampled = self.sampled.lock();
        sampled.points(sampled.queues.get(&id), span)
    }

    /// The same of an exchange.
    #[must_use]
    pub fn exchange_history(&self, vhost: &Name, exchange: &Name, span: Span) -> Vec<Point> {
        let sampled = self.sampled.lock();
        sampled.points(sampled.exchanges.get(&(Name::clone(vhost), Name::clone(exchange))), span)
    }

    /// The same of a connection.
    #[must_use]
    pub fn connection_history(&self, id: ConnectionId, span: Span) -> Vec<Point> {
        let sampled = self.sampled.lock();
        sampled.points(sampled.connections.get(&id), span)
    }

    /// The same of a channel.
    #[must_use]
    pub fn channel_history(&self, connection: ConnectionId, number: u16, span: Span) -> Vec<Point> {
        let sampled = self.sampled.lock();
        sampled.points(sampled.channels.get(&(connection, number)), span)
    }

    /// The same of a vhost.
    #[must_use]
    pub fn vhost_history(&self, vhost: &str, span: Span) -> Vec<Point> {
        let sampled = self.sampled.lock();
        sampled.points(sampled.vhosts.get(vhost), span)
    }

    /// The same of the node.
    #[must_use]
    pub fn total_history(&self, span: Span) -> Vec<Point> {
        let sampled = self.sampled.lock();
        sampled.points(sampled.total.as_ref(), span)
    }

    /// A connection is gone: `remove` takes it from those that are there, so that nobody counts it twice or not at all.
    pub(crate) fn connection_gone(
        &self,
        vhost: &Name,
        counts: &ConnectionCounts,
        (received, sent): (Traffic, Traffic),
        remove: impl FnOnce(),
    ) {
        let mut all = self.gone.lock();
        all.entry(Name::clone(vhost)).or_default().add(&Gone { counts: *counts, received, sent });
        remove();
    }

    /// Counts what happened to messages by no connection: what was published and got by HTTP.
    pub fn count(&self, vhost: &Name, counts: &ConnectionCounts) {
        self.gone.lock().entry(Name::clone(vhost)).or_default().counts.add(counts);
    }

    /// Sees to it that no total is told that is less than before.
    pub(crate) fn tell(&self, totals: &mut QueueTotals) {
        totals.rise_above(&mut self.told.lock());
    }

    /// A vhost that comes into being under the name of one that is gone begins with nothing.
    fn forget_names_of(&self, is_gone: impl Fn(&Name) -> bool) {
        let mut all = self.gone.lock();
        let mut nameless = Gone::default();
        for (_, gone) in all.extract_if(|name, _| is_gone(name)) {
            nameless.add(&gone);
        }
        all.entry(NAMELESS.into()).or_default().add(&nameless);
    }

    /// What happened on connections that are gone. As long as this is held, none goes.
    fn gone(&self) -> MutexGuard<'_, HashMap<Name, Gone>> {
        self.gone.lock()
    }

    /// Looks at everything now, as the sampler does every few seconds.
    pub(crate) fn look(&self, scope: &Scope<'_>) {
        sampler::look(self, scope);
    }
}

impl Sampled {
    fn points(&self, track: Option<&Track>, span: Span) -> Vec<Point> {
        track.map(|track| track.history.points(&track.last, track.busy_ms, span)).unwrap_or_default()
    }
}
