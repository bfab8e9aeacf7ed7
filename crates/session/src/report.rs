//! What there is to tell of a connection, its channels and their consumers. It is read from outside, under the lock of the outbox:
//! a connection that is stalled or blocked is told of as well as any other, and none is woken for it.

use std::sync::atomic::Ordering;

use leveret_codec::table::FieldTable;
use leveret_engine::counters::MessageCounts;
use leveret_engine::names::{ConnectionId, ConsumerKey, Name, QueueId};

use crate::about::{Ends, Owner};
use crate::counters::{ConnectionCounts, ToldMode};
use crate::login::TlsFacts;
use crate::outbox::{ConsumerHome, OutChannel, Outbox};
use crate::reply_to::is_reply_to;

/// RabbitMQ's name for the protocol in reports.
pub const PROTOCOL: &str = "AMQP 0-9-1";

/// An open connection at one moment.
#[derive(Clone, Debug)]
pub struct ConnectionReport {
    /// Its number.
    pub id: ConnectionId,
    /// `127.0.0.1:50772 -> 127.0.0.1:5672`
    pub name: Name,
    /// The name that its client gave it.
    pub user_provided_name: Option<String>,
    /// Whose it is.
    pub user: Name,
    /// Where.
    pub vhost: Name,
    /// What the client says of itself.
    pub client_properties: FieldTable,
    /// The SASL mechanism.
    pub auth_mechanism: String,
    /// [`PROTOCOL`]
    pub protocol: &'static str,
    /// Addresses and ports.
    pub ends: Option<Ends>,
    /// What is known of its TLS, if it has any.
    pub tls: Option<TlsFacts>,
    /// As negotiated, in bytes; 0 for any size.
    pub frame_max: u64,
    /// As negotiated; 0 for any number.
    pub channel_max: u16,
    /// The interval of heartbeats as negotiated.
    pub timeout_s: u16,
    /// When the client introduced itself: milliseconds since 1970.
    pub connected_at_ms: u64,
    /// What it does.
    pub state: ConnectionState,
    /// What came from the client.
    pub received: Traffic,
    /// What went to it.
    pub sent: Traffic,
    /// Bytes that wait to be sent.
    pub send_pending_bytes: u64,
    /// What happened to messages on all its channels, also on those that are gone.
    pub counts: ConnectionCounts,
    /// Its channels, by number.
    pub channels: Vec<ChannelReport>,
}

/// A connection in few words: for lists that are cut before they are filled.
#[derive(Clone, Debug)]
pub struct ConnectionBrief {
    /// Its number.
    pub id: ConnectionId,
    /// Its name.
    pub name: Name,
    /// Whose it is.
    pub user: Name,
    /// Where.
    pub vhost: Name,
}

/// Bytes of one direction, and in how many pieces they went through the socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes.
    pub bytes: u64,
    /// Reads or writes.
    pub count: u64,
}

impl Traffic {
    /// Adds that of another connection.
    pub fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.count += other.count;
    }
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// What it likes.
    Running,
    /// There is an alarm: it will be blocked when it publishes.
    Blocking,
    /// It has published while there is an alarm, and is not read.
    Blocked,
    /// It is not read until the journal has written more.
    Flow,
    /// It was told to close.
    Closing,
}

impl ConnectionState {
    /// RabbitMQ's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Blocking => "blocking",
            Self::Blocked => "blocked",
            Self::Flow => "flow",
            Self::Closing => "closing",
        }
    }
}

/// What [`Outbox::told_state`] says.
pub(crate) const TOLD_RUNNING: u8 = 0;
pub(crate) const TOLD_BLOCKED: u8 = 1;
pub(crate) const TOLD_CLOSING: u8 = 2;

/// An open channel at one moment.
#[derive(Clone, Debug)]
pub struct ChannelReport {
    /// Its number on its connection.
    pub number: u16,
    /// `127.0.0.1:50772 -> 127.0.0.1:5672 (1)`
    pub name: String,
    /// Its connection.
    pub connection: ConnectionId,
    /// The connection's name.
    pub connection_name: Name,
    /// Whose it is.
    pub user: Name,
    /// Where.
    pub vhost: Name,
    /// Publishes are confirmed.
    pub confirm: bool,
    /// It has transactions.
    pub transactional: bool,
    /// The prefetch of consumers to come.
    pub prefetch_count: u16,
    /// The prefetch that all its consumers share.
    pub global_prefetch_count: u32,
    /// Deliveries that are not settled.
    pub messages_unacknowledged: u64,
    /// Publishes that are not confirmed.
    pub messages_unconfirmed: u64,
    /// Publishes that wait for tx.commit.
    pub messages_uncommitted: u64,
    /// Acknowledgements that wait for tx.commit.
    pub acks_uncommitted: u64,
    /// What happened to messages.
    pub counts: MessageCounts,
    /// Its consumers, by tag.
    pub consumers: Vec<ConsumerReport>,
}

/// What is counted on a channel at one moment: a report without names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelNumbers {
    /// Its number on its connection.
    pub number: u16,
    /// The prefetch of consumers to come.
    pub prefetch_count: u16,
    /// The prefetch that all its consumers share.
    pub global_prefetch_count: u32,
    /// Its consumers.
    pub consumers: u64,
    /// Deliveries that are not settled.
    pub messages_unacknowledged: u64,
    /// Publishes that are not confirmed.
    pub messages_unconfirmed: u64,
    /// Publishes that wait for tx.commit.
    pub messages_uncommitted: u64,
    /// Acknowledgements that wait for tx.commit.
    pub acks_uncommitted: u64,
    /// What happened to messages.
    pub counts: MessageCounts,
}

impl ChannelNumbers {
    /// Adds those of another channel, but its number.
    pub fn add(&mut self, other: &Self) {
        self.prefetch_count = self.prefetch_count.saturating_add(other.prefetch_count);
        self.global_prefetch_count = self.global_prefetch_count.saturating_add(other.global_prefetch_count);
        self.consumers += other.consumers;
        self.messages_unacknowledged += other.messages_unacknowledged;
        self.messages_unconfirmed += other.messages_unconfirmed;
        self.messages_uncommitted += other.messages_uncommitted;
        self.acks_uncommitted += other.acks_uncommitted;
        self.counts.add(&other.counts);
    }
}

impl ChannelReport {
    /// How many consumers it has.
    #[must_use]
    pub fn consumer_count(&self) -> usize {
        self.consumers.len()
    }
}

/// A consumer at one moment.
#[derive(Clone, Debug)]
pub struct ConsumerReport {
    /// Its tag.
    pub tag: Name,
    /// Itself in its queue.
    pub key: ConsumerKey,
    /// Its queue.
    pub queue: Name,
    /// The same, whatever has its name by now.
    pub queue_id: QueueId,
    /// The queue's vhost.
    pub vhost: Name,
    /// It acknowledges.
    pub ack_required: bool,
    /// It is the only one that may be there.
    pub exclusive: bool,
    /// Most deliveries that it has unsettled; 0 for any number.
    pub prefetch_count: u16,
    /// What it asked for beside.
    pub arguments: FieldTable,
    /// It is served; others wait where one is served at a time.
    pub active: bool,
    /// Its queue serves one consumer at a time.
    pub single_active: bool,
    /// How long its deliveries may stay unsettled; none for ever.
    pub consumer_timeout_ms: Option<u64>,
}

/// A consumer, and where it is.
#[derive(Clone, Debug)]
pub struct ConsumerPlace {
    /// The consumer.
    pub consumer: ConsumerReport,
    /// The name of its channel.
    pub channel_name: String,
    /// Its connection.
    pub connection: ConnectionId,
    /// The connection's name.
    pub connection_name: Name,
    /// Addresses and ports of the connection.
    pub ends: Option<Ends>,
    /// Whose it is.
    pub user: Name,
}

impl ConsumerReport {
    /// RabbitMQ's word for whether it is served.
    #[must_use]
    pub fn activity_status(&self) -> &'static str {
        match (self.single_active, self.active) {
            (false, _) => "up",
            (true, true) => "single_active",
            (true, false) => "waiting",
        }
    }
}

impl Outbox {
    /// The connection's number, once it is open.
    #[must_use]
    pub fn owner_id(&self) -> Option<ConnectionId> {
        self.owner().map(|owner| owner.id)
    }

    /// Whether it is open, and this is its name.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.owner().is_some_and(|owner| *owner.known.name == *name)
    }

    /// The vhost, once it is open.
    #[must_use]
    pub fn vhost(&self) -> Option<&Name> {
        self.owner().map(|owner| &owner.vhost)
    }

    /// The connection in few words; none while it is not open.
    #[must_use]
    pub fn brief(&self) -> Option<ConnectionBrief> {
        let Owner { id, known, user, vhost, .. } = self.owner()?;
        let (name, user, vhost) = (Name::clone(&known.name), Name::clone(user), Name::clone(vhost));
        Some(ConnectionBrief { id: *id, name, user, vhost })
    }

    /// What there is to tell of the connection; none while it is not open. `alarmed` says whether there is an alarm. What went
    /// through the socket is known to others.
    #[must_use]
    pub fn report(&self, alarmed: bool) -> Option<ConnectionReport> {
        let owner = self.owner()?;
        let known = &owner.known;
        let channels = self.channel_reports();
        Some(ConnectionReport {
            id: owner.id,
            name: Name::clone(&known.name),
            user_provided_name: known.given_name().map(|name| String::from_utf8_lossy(name).into_owned()),
            user: Name::clone(&owner.user),
            vhost: Name::clone(&owner.vhost),
            client_properties: known.client_properties.clone(),
            auth_mechanism: known.mechanism.clone(),
            protocol: PROTOCOL,
            ends: known.ends,
            tls: known.tls.as_deref().cloned(),
            frame_max: owner.tuned.told_frame_max(),
            channel_max: owner.tuned.channel_max,
            timeout_s: owner.tuned.heartbeat_s,
            connected_at_ms: known.connected_at_ms,
            state: self.connection_state(alarmed),
            received: Traffic::default(),
            sent: Traffic::default(),
            send_pending_bytes: self.waiting_bytes() as u64,
            counts: self.counts(),
            channels,
        })
    }

    fn connection_state(&self, alarmed: bool) -> ConnectionState {
        match self.told_state.load(Ordering::Relaxed) {
            TOLD_CLOSING => ConnectionState::Closing,
            TOLD_BLOCKED if alarmed => ConnectionState::Blocked,
            _ if alarmed => ConnectionState::Blocking,
            _ => ConnectionState::Running,
        }
    }

    /// What happened on the connection so far.
    #[must_use]
    pub fn counts(&self) -> ConnectionCounts {
        self.each_channel(|_| {})
    }

    /// Calls `each` with every open channel. Returns what happened on the connection so far.
    pub fn each_channel(&self, mut each: impl FnMut(&ChannelNumbers)) -> ConnectionCounts {
        let state = self.lock();
        let mut messages = state.gone.as_deref().copied().unwrap_or_default();
        for (number, channel) in &state.channels {
            let numbers = channel.numbers(*number);
            messages.add(&numbers.counts);
            each(&numbers);
        }
        drop(state);
        self.tallies.read(messages)
    }

    /// How many channels are open.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.lock().channels.len()
    }

    /// What there is to tell of one channel.
    #[must_use]
    pub fn channel_report(&self, number: u16) -> Option<ChannelReport> {
        self.reports_of(|known| known == number).pop()
    }

    /// What there is to tell of one consumer of a channel, by its queue and its key there.
    #[must_use]
    pub fn consumer_report(&self, number: u16, queue: QueueId, key: ConsumerKey) -> Option<ConsumerPlace> {
        let owner = self.owner()?;
        let (tag, home) = {
            let state = self.lock();
            let mut consumers = state.channels.get(&number)?.consumers.iter();
            // Keys are of the queue alone: another queue's consumer may have the same.
            let found = consumers.find(|(_, home)| home.key == key && home.queue.id == queue)?;
            (Name::clone(found.0), found.1.clone())
        };
        Some(ConsumerPlace {
            // Without the lock: the queue's comes first.
            consumer: home.report(tag),
            channel_name: owner.channel_name(number),
            connection: owner.id,
            connection_name: Name::clone(&owner.known.name),
            ends: owner.known.ends,
            user: Name::clone(&owner.user),
        })
    }

    /// What there is to tell of its channels; none while the connection is not open.
    #[must_use]
    pub fn channel_reports(&self) -> Vec<ChannelReport> {
        self.reports_of(|_| true)
    }

    /// The same of the channels whose numbers are wanted.
    fn reports_of(&self, is_wanted: impl Fn(u16) -> bool) -> Vec<ChannelReport> {
        let Some(owner) = self.owner() else { return Vec::new() };
        let mut homes = Vec::new();
        let state = self.lock();
        let mut channels: Vec<ChannelReport> = state
            .channels
            .iter()
            .filter(|(number, _)| is_wanted(**number))
            .map(|(number, channel)| {
                let consumers = channel.consumers.iter().filter(|(_, home)| !is_reply_to(&home.queue.name));
                homes.extend(consumers.map(|(tag, home)| (*number, Name::clone(tag), home.clone())));
                channel.report(owner, *number)
            })
            .collect();
        drop(state);
        channels.sort_unstable_by_key(|channel| channel.number);
        homes.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for (number, tag, home) in homes {
            // Queues are asked without the lock: theirs comes first.
            let consumer = home.report(tag);
            if let Ok(place) = channels.binary_search_by_key(&number, |channel| channel.number)
                && let Some(channel) = channels.get_mut(place)
            {
                channel.consumers.push(consumer);
            }
        }
        channels
    }
}

impl OutChannel {
    /// What happened to its messages.
    pub(crate) fn counts(&self) -> MessageCounts {
        MessageCounts { confirm: self.confirms.acked(), ..self.tallies.counts() }
    }

    fn numbers(&self, number: u16) -> ChannelNumbers {
        ChannelNumbers {
            number,
            prefetch_count: self.tallies.prefetch.load(Ordering::Relaxed),
            global_prefetch_count: self.tallies.limit.limit(),
            consumers: self.consumers.len() as u64,
            messages_unacknowledged: self.unacked.len() as u64,
            messages_unconfirmed: self.confirms.pending(),
            messages_uncommitted: self.tallies.uncommitted.load(Ordering::Relaxed).into(),
            acks_uncommitted: self.tallies.acks_uncommitted.load(Ordering::Relaxed).into(),
            counts: self.counts(),
        }
    }

    fn report(&self, owner: &Owner, number: u16) -> ChannelReport {
        let numbers = self.numbers(number);
        ChannelReport {
            number,
            name: owner.channel_name(number),
            connection: owner.id,
            connection_name: Name::clone(&owner.known.name),
            user: Name::clone(&owner.user),
            vhost: Name::clone(&owner.vhost),
            confirm: self.tallies.is_in(ToldMode::Confirm),
            transactional: self.tallies.is_in(ToldMode::Transaction),
            prefetch_count: numbers.prefetch_count,
            global_prefetch_count: numbers.global_prefetch_count,
            messages_unacknowledged: numbers.messages_unacknowledged,
            messages_unconfirmed: numbers.messages_unconfirmed,
            messages_uncommitted: numbers.messages_uncommitted,
            acks_uncommitted: numbers.acks_uncommitted,
            counts: numbers.counts,
            consumers: Vec::new(),
        }
    }
}

impl ConsumerHome {
    fn report(&self, tag: Name) -> ConsumerReport {
        let Self { queue, key, terms } = self;
        ConsumerReport {
            tag,
            key: *key,
            queue: Name::clone(&queue.name),
            queue_id: queue.id,
            vhost: Name::clone(&queue.vhost),
            ack_required: !terms.no_ack,
            exclusive: terms.exclusive,
            prefetch_count: terms.prefetch,
            arguments: terms.arguments.clone(),
            active: queue.serves(*key),
            single_active: queue.settings.single_active_consumer,
            consumer_timeout_ms: terms.timeout_ms.or_else(|| queue.consumer_timeout_ms()),
        }
    }
}
