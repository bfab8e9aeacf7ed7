//! Looks at everything that counts, every few seconds.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use leveret_engine::broker::Broker;
use leveret_engine::counters::MessageCounts;
use leveret_engine::names::Name;
use leveret_engine::vhost::Vhost;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::history::{History, Point, PointRates};
use super::{ASKED_FOR_MS, POINTS_MAX, Sampled, Statistics, Track};
use crate::server::Shared;
use crate::ticker::Connections;

/// What is looked at.
pub(crate) struct Scope<'a> {
    pub(crate) broker: &'a Broker,
    pub(crate) connections: &'a Connections,
}

/// What the newest look counts for in the mean of a queue's consumer capacity.
const NEWEST: f32 = 0.2;

/// Looks until the token is cancelled.
pub(crate) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let every = shared.statistics.interval();
    if every == Duration::ZERO {
        return;
    }
    let mut looks = interval(every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = looks.tick() => {}
        }
        let shared = Arc::clone(&shared);
        // Elsewhere than where messages are moved: with many queues it takes some milliseconds.
        let look = move || shared.statistics.look(&Scope { broker: &shared.broker, connections: &shared.connections });
        let _ = tokio::task::spawn_blocking(look).await;
    }
}

/// Looks once.
pub(super) fn look(statistics: &Statistics, scope: &Scope<'_>) {
    let now_ms = scope.broker.services.clock.now_ms();
    let mut vhosts: HashMap<Name, Point> = HashMap::new();
    let mut sampled = statistics.sampled.lock();
    let sampled = &mut *sampled;
    sampled.begin(now_ms, scope);
    statistics.forget_names_of(|name| scope.broker.vhost(name).is_none());
    let all_gone = statistics.gone();
    for (name, gone) in &*all_gone {
        let point = vhosts.entry(Name::clone(name)).or_default();
        point.counts.add(&gone.counts.messages);
        point.received_bytes += gone.received.bytes;
        point.sent_bytes += gone.sent.bytes;
    }
    sampled.look_at_connections(scope.connections, &mut vhosts);
    drop(all_gone);
    for vhost in scope.broker.vhosts() {
        let point = vhosts.entry(Name::clone(&vhost.name)).or_default();
        sampled.look_at_vhost(&vhost, point);
    }
    let mut total = Point { at_ms: now_ms, ..Point::default() };
    for (name, mut point) in vhosts {
        total.add(&point);
        point.at_ms = now_ms;
        if scope.broker.vhost(&name).is_some() {
            let (round, track) = (sampled.round, sampled.vhosts.entry(name));
            track.or_insert_with(|| Track::long(point)).note(point, round, usize::MAX);
        }
    }
    let round = sampled.round;
    sampled.total.get_or_insert_with(|| Track::long(total)).note(total, round, usize::MAX);
    sampled.end();
}

impl Sampled {
    fn begin(&mut self, now_ms: u64, scope: &Scope<'_>) {
        self.round += 1;
        self.before_ms = std::mem::replace(&mut self.at_ms, now_ms);
        if self.round == 1 {
            self.first_ms = now_ms;
        }
        let churn = scope.broker.services.churn.counts();
        let (before_ms, before, _) = self.churn;
        let seconds = Duration::from_millis(now_ms.saturating_sub(before_ms)).as_secs_f64();
        let rates = if self.round > 1 { churn.rates_since(&before, seconds) } else { self.churn.2 };
        self.churn = (now_ms, churn, rates);
    }

    fn round(&self) -> Round {
        let tracks = self.queues.len() + self.exchanges.len() + self.connections.len() + self.channels.len();
        let Self { round: number, at_ms, before_ms, .. } = *self;
        Round { number, at_ms, before_ms, points_max: POINTS_MAX / tracks.max(1) }
    }

    fn look_at_connections(&mut self, connections: &Connections, vhosts: &mut HashMap<Name, Point>) {
        let round = self.round();
        let at_ms = round.at_ms;
        let is_asked = self.asked_ms.is_some_and(|asked_ms| at_ms <= asked_ms.saturating_add(ASKED_FOR_MS));
        for connection in connections.all() {
            let (Some(id), Some(vhost)) = (connection.outbox.owner_id(), connection.outbox.vhost()) else { continue };
            let (received, sent) = connection.traffic();
            let mut point = Point { at_ms, received_bytes: received.bytes, sent_bytes: sent.bytes, ..Point::default() };
            let counts = connection.outbox.each_channel(|channel| {
                if is_asked {
                    let (counts, unacked) = (channel.counts, channel.messages_unacknowledged);
                    let point = Point { at_ms, counts, unacked, ..Point::default() };
                    round.note(&mut self.channels, (id, channel.number), point, point);
                }
            });
            point.counts = counts.messages;
            match vhosts.get_mut(vhost) {
                Some(sum) => sum.add(&point),
                None => {
                    vhosts.insert(Name::clone(vhost), point);
                }
            }
            if is_asked {
                round.note(&mut self.connections, id, point, point);
            }
        }
    }

    /// Adds to `sum` what waits in the queues of a vhost.
    fn look_at_vhost(&mut self, vhost: &Vhost, sum: &mut Point) {
        let round = self.round();
        let at_ms = round.at_ms;
        for queue in vhost.queues() {
            let report = queue.report();
            let (ready, unacked) = (report.counts.ready as u64, report.counts.unacked as u64);
            sum.ready += ready;
            sum.unacked += unacked;
            let point = Point { at_ms, counts: report.happened, ready, unacked, ..Point::default() };
            if report.is_used {
                let is_awaited = report.counts.consumers > 0 && (report.is_awaited || ready == 0);
                let track = round.note(&mut self.queues, queue.id, point, round.unused(&point));
                track.note_capacity(is_awaited);
            }
        }
        for exchange in vhost.exchanges() {
            let point = Point { at_ms, counts: exchange.through.counts(), ..Point::default() };
            if point.counts != MessageCounts::default() {
                let key = (Name::clone(&vhost.name), Name::clone(&exchange.name));
                round.note(&mut self.exchanges, key, point, round.unused(&point));
            }
        }
    }

    /// Forgets what was not seen.
    fn end(&mut self) {
        forget(&mut self.vhosts, self.round);
        forget(&mut self.queues, self.round);
        forget(&mut self.exchanges, self.round);
        forget(&mut self.connections, self.round);
        forget(&mut self.channels, self.round);
    }
}

/// What is looked at in one round.
#[derive(Clone, Copy)]
struct Round {
    number: u32,
    at_ms: u64,
    /// When it was looked before.
    before_ms: u64,
    /// How many fine points each may keep.
    points_max: usize,
}

impl Round {
    /// Notes what something is like now. It was `before`, if it is looked at for the first time.
    fn note<K: Eq + Hash>(self, tracks: &mut HashMap<K, Track>, key: K, point: Point, before: Point) -> &mut Track {
        let track = tracks.entry(key).or_insert_with(|| Track::new(before));
        track.note(point, self.number, self.points_max);
        track
    }

    /// What something was like that nobody has looked at because nothing had happened there.
    fn unused(self, point: &Point) -> Point {
        if self.number == 1 {
            return *point;
        }
        let ready = point.messages().saturating_sub(point.counts.publish);
        Point { at_ms: self.before_ms, ready, ..Point::default() }
    }
}

fn forget<K: Eq + Hash>(tracks: &mut HashMap<K, Track>, round: u32) {
    tracks.retain(|_, track| track.round == round);
    if tracks.capacity() > 4 * tracks.len() + 64 {
        tracks.shrink_to_fit();
    }
}

impl Track {
    fn new(first: Point) -> Self {
        Self { last: first, history: History::default(), busy_ms: first.at_ms, capacity: -1.0, round: 0 }
    }

    fn long(first: Point) -> Self {
        Self { history: History::long(), ..Self::new(first) }
    }

    fn note(&mut self, point: Point, round: u32, points_max: usize) {
        self.round = round;
        let before = std::mem::replace(&mut self.last, point);
        if !point.is_as(&before) {
            self.history.note(Point { at_ms: self.busy_ms, ..before }, points_max);
            self.busy_ms = point.at_ms;
        }
    }

    /// How fast it changed with the last look; the one before was at `before_ms`. What was seen for the first time then may be
    /// older than it looks, and has no rates.
    pub(super) fn rates(&self, before_ms: u64) -> PointRates {
        match self.history.newest() {
            Some(before) if self.busy_ms == self.last.at_ms => {
                self.last.rates_since(&Point { at_ms: before_ms, ..*before })
            }
            _ => PointRates::default(),
        }
    }

    fn note_capacity(&mut self, awaited: bool) {
        let now = if awaited { 1.0 } else { 0.0 };
        self.capacity = if self.capacity < 0.0 { now } else { self.capacity + NEWEST * (now - self.capacity) };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use std::sync::Arc;
    use std::time::Instant;

    use leveret_codec::table::FieldTable;
    use leveret_engine::clock::ManualClock;
    use leveret_engine::journal::MemoryJournal;
    use leveret_engine::memory::MemoryBudget;
    use leveret_engine::message::{Marks, Message, Parts};
    use leveret_engine::names::ConnectionId;
    use leveret_engine::services::Services;
    use leveret_engine::vhost::{QueueDeclare, VhostMetadata};
    use leveret_session::counters::ConnectionCounts;

    use super::super::{ConnectionTotals, Span};
    use super::*;

    struct Fixture {
        broker: Broker,
        clock: Arc<ManualClock>,
        connections: Connections,
        statistics: Statistics,
    }

    impl Fixture {
        fn new() -> Self {
            let clock = Arc::<ManualClock>::default();
            clock.advance(1_000_000_000);
            let journal = Arc::<MemoryJournal>::default();
            let services = Services::new(journal, MemoryBudget::default(), Arc::<ManualClock>::clone(&clock), 0);
            let statistics = Statistics::new(Duration::from_secs(5));
            Self { broker: Broker::with_guest(services), clock, connections: Connections::default(), statistics }
        }

        fn declare(&self, name: &str) {
            let (arguments, connection) = (FieldTable::default(), ConnectionId(1));
            let declare = QueueDeclare {
                name,
                durable: false,
                exclusive: false,
                auto_delete: false,
                arguments: &arguments,
                random: [0; 16],
            };
            let (vhost, guest) = (self.broker.vhost("/").unwrap(), self.broker.user("guest").unwrap());
            vhost.declare_queue(&declare, &guest, connection).unwrap();
        }

        fn publish(&self, queue: &str) {
            let vhost = self.broker.vhost("/").unwrap();
            let (exchange, mut effects) = (vhost.exchange("").unwrap(), Default::default());
            let parts = Parts {
                exchange: b"",
                routing_key: queue.as_bytes(),
                properties: &[0, 0],
                body: b"x",
                shared_body: None,
                blob: None,
                marks: Marks::NONE,
            };
            vhost.publish(&exchange, &[queue.as_bytes()], Message::copy_of(&parts), &mut effects);
            exchange.through.add(1, 1);
        }

        /// Looks, five seconds later.
        fn look(&self) {
            self.clock.advance(5000);
            self.statistics.look(&Scope { broker: &self.broker, connections: &self.connections });
        }
    }

    #[test]
    fn rates_are_what_changed_between_two_looks() {
        let fixture = Fixture::new();
        fixture.declare("q");
        fixture.look();
        let queue = fixture.broker.vhost("/").unwrap().queue("q").unwrap();
        let sample = || fixture.statistics.queue(queue.id).unwrap();
        assert_eq!((sample().last.counts.publish, sample().rates.counts.publish), (0, 0.0));
        assert!(fixture.statistics.sampled.lock().queues.is_empty(), "it was never used");
        for _ in 0..10 {
            fixture.publish("q");
        }
        fixture.look();
        assert_eq!((sample().last.counts.publish, sample().rates.counts.publish), (10, 2.0));
        assert_eq!((sample().last.ready, sample().rates.ready, sample().rates.messages()), (10, 2.0, 2.0));
        let busy_ms = sample().busy_ms;
        let exchange = fixture.broker.vhost("/").unwrap().exchange("").unwrap();
        let through = fixture.statistics.exchange(&queue.vhost, &exchange.name).unwrap();
        assert_eq!((through.last.counts.publish_in, through.rates.counts.publish_out), (10, 2.0));
        let (vhost, total) = (fixture.statistics.vhost("/").unwrap(), fixture.statistics.total());
        assert_eq!((vhost.last.ready, vhost.rates.ready, total.last.ready), (10, 2.0, 10));
        assert_eq!(fixture.statistics.churn().0.queue_created, 1);
        fixture.look();
        assert_eq!((sample().rates.counts.publish, sample().busy_ms), (0.0, busy_ms));
        let points = fixture.statistics.queue_history(queue.id, Span { age_s: 10, step_s: 5 });
        assert_eq!(points.iter().map(|point| point.ready).collect::<Vec<_>>(), [10, 10, 0]);
    }

    #[test]
    fn what_is_gone_is_forgotten_and_stays_in_sums() {
        let fixture = Fixture::new();
        fixture.declare("q");
        fixture.publish("q");
        fixture.look();
        assert_eq!(fixture.statistics.sampled.lock().queues.len(), 1);
        let (vhost, guest) = (fixture.broker.vhost("/").unwrap(), fixture.broker.user("guest").unwrap());
        vhost.delete_queue("q", (false, false), &guest, ConnectionId(1), &mut Default::default()).unwrap();
        fixture.look();
        assert!(fixture.statistics.sampled.lock().queues.is_empty());
        let mut published = 0;
        fixture.broker.services.gone.for_each(|_, _, happened, _| published += happened.publish);
        assert_eq!(published, 1);
    }

    #[test]
    fn a_vhost_begins_with_nothing_whatever_happened_under_its_name() {
        let fixture = Fixture::new();
        let counts = |publish| ConnectionCounts {
            messages: MessageCounts { publish, ..MessageCounts::default() },
            ..ConnectionCounts::default()
        };
        let published = |vhost: &str| fixture.statistics.vhost(vhost).map(|sample| sample.last.counts.publish);
        fixture.statistics.count(&"/".into(), &counts(2));
        fixture.statistics.count(&"gone".into(), &counts(3));
        fixture.look();
        assert_eq!((published("/"), published("gone")), (Some(2), None));
        fixture.broker.put_vhost("gone", &VhostMetadata::default(), "test").unwrap();
        fixture.look();
        fixture.look();
        assert_eq!((published("/"), published("gone"), published("")), (Some(2), Some(0), None));
        assert_eq!(fixture.statistics.total().last.counts.publish, 5);
        let totals = ConnectionTotals::of(&fixture.statistics, &fixture.connections);
        assert_eq!(totals.counts.messages.publish, 5);
    }

    /// Looks at so many queues, of which 1000 were used meanwhile. Returns how long that takes at best.
    fn time_to_look_at(fixture: &Fixture, queues: usize) -> Duration {
        for number in 0..queues {
            fixture.declare(&format!("q{number}"));
        }
        let look = |_| {
            for number in 0..1000 {
                fixture.publish(&format!("q{number}"));
            }
            let since = Instant::now();
            fixture.look();
            since.elapsed()
        };
        (0..20).map(look).min().unwrap()
    }

    #[test]
    fn ten_thousand_queues_are_looked_at_in_little_time_and_room() {
        let (few, fixture) = (Fixture::new(), Fixture::new());
        let (a_thousand, ten_thousand) = (time_to_look_at(&few, 1000), time_to_look_at(&fixture, 10_000));
        // Ten times as many take about ten times as long, whatever the machine does meanwhile.
        assert!(ten_thousand < 50 * a_thousand, "{a_thousand:?} and {ten_thousand:?}");
        let sampled = fixture.statistics.sampled.lock();
        let points: usize = sampled.queues.values().map(|track| track.history.len()).sum();
        assert_eq!(sampled.queues.len(), 1000, "those that were used");
        assert!((1000..=POINTS_MAX).contains(&points), "{points} points");
    }
}
