//! The node as those see it who look at it and manage it: the HTTP API, the metrics, the command-line tools.
//!
//! Everything here is read without waiting for a connection or a queue: counts lie where they are counted, and are read under the
//! same short locks. What is costly to find out, such as open files, is found out when it is asked for.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use leveret_engine::admin::Gone;
use leveret_engine::broker::Broker;
use leveret_engine::names::{ConnectionId, Name};
use leveret_engine::queue::{Queue, QueueConsumer};
pub use leveret_session::about::Ends;
use leveret_session::alarms::{Alarm, Alarms};
pub use leveret_session::config::RABBITMQ_VERSION;
use leveret_session::config::SessionConfig;
pub use leveret_session::counters::{ConnectionCounts, SIZE_BOUNDS_BYTES, SizeCounts};
use leveret_session::login::Authenticator;
pub use leveret_session::login::TlsFacts;
use leveret_session::report::ConsumerPlace;
pub use leveret_session::report::{
    ChannelNumbers, ChannelReport, ConnectionBrief, ConnectionReport, ConnectionState, ConsumerReport, Traffic,
};

use crate::connection::{Connected, Signal};
use crate::limits_in_force::{DiskLimit, Watermark};
pub use crate::readings::{Fds, Memory};
use crate::server::Shared;
use crate::statistics::{ConnectionTotals, QueueTotals, Statistics};

/// What management says when it closes a connection and nobody gave a reason.
pub const CLOSED_BY_MANAGEMENT: &str = "Closed via management plugin";

/// A running broker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Node {
    pub(crate) shared: Arc<Shared>,
}

/// Somebody listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerFacts {
    /// RabbitMQ's name of the protocol: `amqp`, `amqp/ssl`, `http`, `https`, `http/prometheus`.
    pub protocol: &'static str,
    /// The address that it is bound to.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
}

/// What a node was started with, as far as it is only to be shown.
#[derive(Clone, Debug, Default)]
pub struct HostFacts {
    /// The data directory; empty when nothing is kept.
    pub data_dir: String,
    /// Files that the configuration was read from.
    pub config_files: Vec<String>,
    /// Where the log goes; `<stdout>` where it does.
    pub log_files: Vec<String>,
    /// The file that names enabled plugins.
    pub enabled_plugins_file: String,
    /// Plugins that tools shall see as enabled.
    pub plugins: Vec<String>,
    /// The effective configuration, as text.
    pub settings: String,
}

/// An alarm that is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaisedAlarm {
    /// The node has less memory than it wants.
    Memory,
    /// The disk has less room than it should.
    Disk,
}

/// What is counted on a connection at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionNumbers {
    /// What came from the client.
    pub received: Traffic,
    /// What went to it.
    pub sent: Traffic,
    /// Bytes that wait to be sent.
    pub pending_bytes: u64,
}

/// A consumer with all that is known of it.
#[derive(Clone, Debug)]
pub struct ConsumerListing {
    /// As its channel knows it.
    pub consumer: ConsumerReport,
    /// Its channel's number.
    pub channel: u16,
    /// Its channel's name.
    pub channel_name: String,
    /// Its connection.
    pub connection: ConnectionId,
    /// Its connection's name.
    pub connection_name: Name,
    /// Addresses and ports.
    pub ends: Option<Ends>,
    /// Whose it is.
    pub user: Name,
}

impl Node {
    /// The broker's state.
    #[must_use]
    pub fn broker(&self) -> &Arc<Broker> {
        &self.shared.broker
    }

    /// Its name, such as `rabbit@localhost`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.shared.broker.services.notices.node()
    }

    /// When it was started: milliseconds since 1970.
    #[must_use]
    pub fn started_at_ms(&self) -> u64 {
        self.shared.started_at_ms
    }

    /// How long it runs.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.shared.clock.elapsed()
    }

    /// Who listens.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerFacts> {
        self.shared.listeners.lock().clone()
    }

    /// Somebody listens from now on.
    pub fn add_listener(&self, listener: ListenerFacts) {
        self.shared.listeners.lock().push(listener);
    }

    /// Somebody does not listen any more.
    pub fn remove_listener(&self, listener: &ListenerFacts) {
        self.shared.listeners.lock().retain(|known| known != listener);
    }

    /// What it was started with.
    #[must_use]
    pub fn host(&self) -> Arc<HostFacts> {
        Arc::clone(&self.shared.host.read())
    }

    /// Sets what it was started with.
    pub fn set_host(&self, host: HostFacts) {
        *self.shared.host.write() = Arc::new(host);
    }

    /// The process's number.
    #[must_use]
    pub fn os_pid(&self) -> u32 {
        std::process::id()
    }

    /// What all sessions are told.
    #[must_use]
    pub fn sessions(&self) -> &Arc<SessionConfig> {
        &self.shared.sessions
    }

    /// The alarms, which block publishers.
    #[must_use]
    pub fn alarms(&self) -> &Arc<Alarms> {
        &self.shared.sessions.alarms
    }

    /// The alarms that are raised.
    #[must_use]
    pub fn raised_alarms(&self) -> Vec<RaisedAlarm> {
        let raised = [(Alarm::Memory, RaisedAlarm::Memory), (Alarm::Disk, RaisedAlarm::Disk)];
        raised.into_iter().filter(|(alarm, _)| self.alarms().is_set(*alarm)).map(|(_, raised)| raised).collect()
    }

    /// Memory used and allowed.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.shared.readings.memory()
    }

    /// How much memory it may use before publishers are blocked.
    #[must_use]
    pub fn watermark(&self) -> Watermark {
        self.shared.readings.watermark()
    }

    /// Sets how much memory it may use. It acts at once.
    pub fn set_watermark(&self, watermark: Watermark) {
        self.shared.readings.set_watermark(watermark);
        self.look_at_alarms();
    }

    /// Bytes free on the disk of the data directory, or of the working directory where nothing is kept; none when it does not say.
    #[must_use]
    pub fn disk_free_bytes(&self) -> Option<u64> {
        self.shared.readings.disk_free_bytes()
    }

    /// Below how many bytes of free disk publishers are blocked.
    #[must_use]
    pub fn disk_free_limit_bytes(&self) -> u64 {
        self.shared.readings.disk_limit_bytes()
    }

    /// The same as it was set.
    #[must_use]
    pub fn disk_limit(&self) -> DiskLimit {
        self.shared.readings.disk_limit()
    }

    /// Sets below how much free disk publishers are blocked. It acts at once.
    pub fn set_disk_limit(&self, limit: DiskLimit) {
        self.shared.readings.set_disk_limit(limit);
        self.shared.note_disk_limit();
        self.look_at_alarms();
    }

    /// Measures, and raises and clears alarms, at once.
    fn look_at_alarms(&self) {
        if self.shared.look_at_alarms() {
            self.shared.connections.all().iter().for_each(|connection| connection.tell(Signal::Alarm));
        }
    }

    /// Open files and how many there may be.
    #[must_use]
    pub fn fds(&self) -> Fds {
        self.shared.readings.fds()
    }

    /// Sockets in use: connections, those that are not open yet among them, and who listens.
    #[must_use]
    pub fn sockets_used(&self) -> usize {
        self.shared.connections.len() + self.shared.listeners.lock().len()
    }

    /// What happened, and how fast it goes.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.shared.statistics
    }

    /// Who says who may log in. It may take its time: call it where blocking is allowed.
    #[must_use]
    pub fn authenticator(&self) -> &Arc<dyn Authenticator> {
        &self.shared.authenticator
    }

    /// What was counted on connections since the start.
    #[must_use]
    pub fn connection_totals(&self) -> ConnectionTotals {
        ConnectionTotals::of(&self.shared.statistics, &self.shared.connections)
    }

    /// What was counted in queues that are gone: the start of sums over all queues, which [`Node::queue_totals`] ends.
    #[must_use]
    pub fn gone_queue_totals(&self) -> QueueTotals {
        QueueTotals::of_gone(&self.shared.broker)
    }

    /// The totals to be told, where those of all queues that are there were added to those of the queues that are gone.
    #[must_use]
    pub fn queue_totals(&self, mut totals: QueueTotals) -> QueueTotals {
        self.shared.statistics.tell(&mut totals);
        totals
    }

    /// Calls `each` with number, name in few words, received and sent traffic, and the channels of every open connection.
    pub fn each_connection(&self, mut each: impl FnMut(&ConnectionBrief, ConnectionNumbers, &[ChannelNumbers])) {
        let mut channels = Vec::new();
        for connection in self.shared.connections.all() {
            let Some(brief) = connection.outbox.brief() else { continue };
            channels.clear();
            connection.outbox.each_channel(|channel| channels.push(*channel));
            let (received, sent) = connection.traffic();
            let pending_bytes = connection.outbox.waiting_bytes() as u64;
            each(&brief, ConnectionNumbers { received, sent, pending_bytes }, &channels);
        }
    }

    /// Serves no clients until [`Node::resume`]: those that are there are told that the broker shuts down, others are let go of
    /// at once.
    pub fn suspend(&self) {
        self.shared.suspended.store(true, Ordering::SeqCst);
        for connection in self.shared.connections.all() {
            connection.tell(Signal::Shutdown);
        }
    }

    /// Serves clients again.
    pub fn resume(&self) {
        self.shared.suspended.store(false, Ordering::SeqCst);
    }

    /// Whether clients are served.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.shared.suspended.load(Ordering::SeqCst)
    }

    /// Ends the broker, as a signal does: whoever runs it awaits [`Node::stop_requested`].
    pub fn request_stop(&self) {
        self.shared.stop_requested.cancel();
    }

    /// Comes when somebody wants the broker to end.
    pub async fn stop_requested(&self) {
        self.shared.stop_requested.cancelled().await;
    }
}

/// Connections.
impl Node {
    /// How many connections are open.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.shared.connections.all().iter().filter(|connection| connection.outbox.owner_id().is_some()).count()
    }

    /// How many channels are open.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.shared.connections.all().iter().map(|connection| connection.outbox.channel_count()).sum()
    }

    /// The open connections in few words, in the order in which they came.
    #[must_use]
    pub fn connection_briefs(&self) -> Vec<ConnectionBrief> {
        let all = self.shared.connections.all();
        let mut briefs: Vec<_> = all.iter().filter_map(|connection| connection.outbox.brief()).collect();
        briefs.sort_unstable_by_key(|brief| brief.id);
        briefs
    }

    /// All that is known of the open connections, in the order in which they came.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionReport> {
        let all = self.shared.connections.all();
        let mut reports: Vec<_> = all.iter().filter_map(|connection| self.report(connection)).collect();
        reports.sort_unstable_by_key(|report| report.id);
        reports
    }

    /// All that is known of the connection of this name.
    #[must_use]
    pub fn connection(&self, name: &str) -> Option<ConnectionReport> {
        self.report(&*self.connected(name)?)
    }

    /// The same by its number.
    #[must_use]
    pub fn connection_by_id(&self, id: ConnectionId) -> Option<ConnectionReport> {
        self.report(&*self.shared.connections.get(&id)?)
    }

    /// All open channels.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelReport> {
        let mut all = self.shared.connections.all();
        all.sort_unstable_by_key(|connection| connection.outbox.owner_id());
        all.iter().flat_map(|connection| connection.outbox.channel_reports()).collect()
    }

    /// The channel of this name: `127.0.0.1:50772 -> 127.0.0.1:5672 (1)`.
    #[must_use]
    pub fn channel(&self, name: &str) -> Option<ChannelReport> {
        let (connection, rest) = name.rsplit_once(" (")?;
        let number = rest.strip_suffix(')')?.parse().ok()?;
        self.connected(connection)?.outbox.channel_report(number).filter(|channel| channel.name == name)
    }

    /// The consumers of a queue.
    #[must_use]
    pub fn consumers_of(&self, queue: &Queue) -> Vec<ConsumerListing> {
        queue.consumers().iter().filter_map(|consumer| self.consumer(queue, consumer)).collect()
    }

    fn consumer(&self, queue: &Queue, known: &QueueConsumer) -> Option<ConsumerListing> {
        let place = known.place?;
        let connection = self.shared.connections.get(&place.connection)?;
        let found = connection.outbox.consumer_report(place.channel, queue.id, known.key)?;
        let ConsumerPlace { consumer, channel_name, connection, connection_name, ends, user } = found;
        Some(ConsumerListing {
            consumer,
            channel: place.channel,
            channel_name,
            connection,
            connection_name,
            ends,
            user,
        })
    }

    /// All consumers, those of one vhost if that is given.
    #[must_use]
    pub fn consumers(&self, vhost: Option<&str>) -> Vec<ConsumerListing> {
        let mut listed = Vec::new();
        for report in self.connections() {
            for channel in report.channels {
                listed.extend(channel.consumers.into_iter().map(|consumer| ConsumerListing {
                    consumer,
                    channel: channel.number,
                    channel_name: channel.name.clone(),
                    connection: channel.connection,
                    connection_name: Name::clone(&channel.connection_name),
                    ends: report.ends,
                    user: Name::clone(&channel.user),
                }));
            }
        }
        listed.retain(|listing| vhost.is_none_or(|vhost| *listing.consumer.vhost == *vhost));
        listed
    }

    fn connected(&self, name: &str) -> Option<Arc<Connected>> {
        let is_named = |connection: &Arc<Connected>| connection.outbox.is_named(name);
        self.shared.connections.all().into_iter().find(is_named)
    }

    fn report(&self, connection: &Connected) -> Option<ConnectionReport> {
        let mut report = connection.outbox.report(self.alarms().is_raised())?;
        (report.received, report.sent) = connection.traffic();
        if report.state == ConnectionState::Running && connection.is_held_back(&*self.shared.broker.services.journal) {
            report.state = ConnectionState::Flow;
        }
        Some(report)
    }

    /// Closes the connection of this name (320, with this reason). Says whether there is one.
    pub fn close_connection(&self, name: &str, reason: &str) -> bool {
        self.connected(name).inspect(|connection| close(connection, reason)).is_some()
    }

    /// The same by its number.
    pub fn close_connection_by_id(&self, id: ConnectionId, reason: &str) -> bool {
        self.shared.connections.get(&id).inspect(|connection| close(connection, reason)).is_some()
    }

    /// Closes all connections (320, with this reason) for which `wanted` holds. Returns how many they are.
    pub fn close_connections(&self, reason: &str, wanted: impl Fn(&ConnectionBrief) -> bool) -> usize {
        let mut all = self.shared.connections.all();
        all.retain(|connection| connection.outbox.brief().is_some_and(|brief| wanted(&brief)));
        all.iter().for_each(|connection| close(connection, reason));
        all.len()
    }

    /// Closes the connections of a user.
    pub fn close_connections_of_user(&self, user: &str, reason: &str) -> usize {
        self.close_connections(reason, |connection| *connection.user == *user)
    }

    /// Closes the connections to a vhost.
    pub fn close_connections_of_vhost(&self, vhost: &str, reason: &str) -> usize {
        self.close_connections(reason, |connection| *connection.vhost == *vhost)
    }
}

fn close(connection: &Connected, reason: &str) {
    if let Some(ConnectionBrief { name, .. }) = connection.outbox.brief() {
        tracing::info!("closing connection {name} because \"{reason}\"");
    }
    connection.close(reason);
}

/// Sees to it that the connections go of a vhost or user that is deleted.
pub(crate) fn close_connections_of_what_is_gone(shared: &Arc<Shared>) {
    let node = Arc::downgrade(shared);
    shared.broker.when_gone(move |gone| {
        let Some(shared) = node.upgrade() else { return };
        let reason = gone.reason();
        match gone {
            Gone::Vhost(name) => Node { shared }.close_connections_of_vhost(name, &reason),
            Gone::User(name) => Node { shared }.close_connections_of_user(name, &reason),
        };
    });
}
