//! The node as management sees it, while a client is connected.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::time::{Duration, Instant};

use leveret_codec::method::{BasicConsume, QueueDeclare};
use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_server::node::{CLOSED_BY_MANAGEMENT, RaisedAlarm};
use leveret_server::session::publish_once::{Once, publish_once};
use leveret_server::statistics::{Span, series};
use leveret_server::{DiskLimit, Node, ServerConfig, Watermark};
use support::{Client, Reply, Running, config};

/// Tries until it holds.
fn eventually(mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(60), "it never came about");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn client(running: &Running) -> Client {
    let mut client = Client::tcp(running.address());
    assert_eq!(client.plain("guest", "guest"), Reply::Ok);
    assert_eq!(client.open_channel(), Reply::Ok);
    client
}

#[test]
fn a_connection_is_listed_and_closed_with_a_reason() {
    let running = Running::start(&config());
    let node = running.server.node();
    let mut client = client(&running);
    assert_eq!((node.connection_count(), node.channel_count()), (1, 1));
    let report = &node.connections()[0];
    let ends = report.ends.unwrap();
    assert_eq!(ends.host, running.address());
    assert_eq!(*report.name, *format!("{} -> {}", ends.peer, ends.host));
    assert!(
        report.received.bytes > 100 && report.received.count >= 1 && report.sent.bytes > 100 && report.sent.count >= 1
    );
    assert!(report.connected_at_ms >= node.started_at_ms());
    let name = report.name.to_string();
    assert_eq!(node.connection(&name).unwrap().id, report.id);
    assert_eq!(node.channel(&format!("{name} (1)")).unwrap().connection, report.id);
    assert!(node.channel(&format!("{name} (2)")).is_none() && node.connection("x").is_none());
    assert!(node.close_connection(&name, CLOSED_BY_MANAGEMENT) && !node.close_connection("x", ""));
    let text = "CONNECTION_FORCED - Closed via management plugin";
    assert_eq!(client.reply(), Reply::Closed(320, text.to_owned()));
    drop(client);
    eventually(|| node.connections().is_empty());
    assert_eq!(node.connection_totals().counts.messages.publish, 0);
}

#[test]
fn the_connections_of_what_is_deleted_go() {
    let running = Running::start(&config());
    let node = running.server.node();
    let mut client = client(&running);
    running.server.broker().delete_user("guest", "test").unwrap();
    assert_eq!(client.reply(), Reply::Closed(320, "CONNECTION_FORCED - user 'guest' is deleted".to_owned()));
    drop(client);
    eventually(|| node.connection_count() == 0);
}

#[test]
fn consumers_are_listed_with_their_channels() {
    let running = Running::start(&config());
    let node = running.server.node();
    let mut client = client(&running);
    assert_eq!(client.declare("q"), Reply::Ok);
    client.say(1, BasicConsume { queue: "q", consumer_tag: "tag", no_ack: true, ..BasicConsume::default() });
    assert_eq!(client.reply(), Reply::Ok);
    let queue = running.server.broker().vhost("/").unwrap().queue("q").unwrap();
    let listed = &node.consumers_of(&queue)[0];
    let connection = &node.connections()[0];
    assert_eq!((&*listed.consumer.tag, &*listed.consumer.queue, listed.consumer.ack_required), ("tag", "q", false));
    assert_eq!((listed.channel, &listed.connection_name), (1, &connection.name));
    assert_eq!((&*listed.channel_name, &*listed.user), (&*format!("{} (1)", connection.name), "guest"));
    assert_eq!((node.consumers(None).len(), node.consumers(Some("other")).len()), (1, 0));
}

#[test]
fn a_watermark_of_nothing_blocks_publishers_at_once() {
    let running = Running::start(&config());
    let node = running.server.node();
    let mut client = client(&running);
    let state = |node: &Node| node.connections()[0].state.as_str();
    assert_eq!((node.raised_alarms(), state(&node)), (vec![], "running"));
    node.set_watermark(Watermark::Relative(0.0));
    assert_eq!((node.raised_alarms(), node.memory().limit_bytes), (vec![RaisedAlarm::Memory], 0));
    assert_eq!(state(&node), "blocking");
    client.publish("nowhere", b"x");
    eventually(|| state(&node) == "blocked");
    node.set_watermark(Watermark::default());
    assert_eq!(node.raised_alarms(), []);
    eventually(|| state(&node) == "running");
    assert_eq!(client.declare("q"), Reply::Ok);
    node.set_disk_limit(DiskLimit::Absolute(u64::MAX));
    assert_eq!(node.raised_alarms(), [RaisedAlarm::Disk]);
    node.set_disk_limit(DiskLimit::Absolute(0));
    assert_eq!((node.raised_alarms(), node.disk_free_limit_bytes()), (vec![], 0));
}

#[test]
fn an_alarm_may_be_there_from_the_start() {
    let running = Running::start(&ServerConfig { watermark: Watermark::Absolute(0), ..config() });
    assert_eq!(running.server.node().raised_alarms(), [RaisedAlarm::Memory]);
}

#[test]
fn nobody_is_served_while_the_node_is_suspended() {
    let running = Running::start(&config());
    let node = running.server.node();
    let mut before = client(&running);
    node.suspend();
    assert!(matches!(before.reply(), Reply::Closed(320, _)));
    assert!(node.is_suspended() && Client::try_over(Box::new(support::client::tcp(running.address()))).is_err());
    node.resume();
    client(&running);
}

#[test]
fn a_stop_is_asked_for() {
    let running = Running::start(&config());
    let node = running.server.node();
    node.request_stop();
    running.block_on(node.stop_requested());
    assert_eq!(node.listeners().len(), 1);
    let listener = node.listeners()[0].clone();
    assert_eq!((listener.protocol, listener.port), ("amqp", running.address().port()));
    node.remove_listener(&listener);
    node.add_listener(listener.clone());
    assert_eq!(node.listeners(), [listener]);
}

#[test]
fn rates_are_there_while_messages_move() {
    let running = Running::start(&ServerConfig { statistics_interval: Duration::from_millis(20), ..config() });
    let node = running.server.node();
    let mut client = client(&running);
    client.say(1, QueueDeclare { queue: "q", ..QueueDeclare::default() });
    assert_eq!(client.reply(), Reply::Ok);
    let queue = running.server.broker().vhost("/").unwrap().queue("q").unwrap();
    let connection = node.connections()[0].id;
    let (mut seen, since) = (false, Instant::now());
    while since.elapsed() < Duration::from_secs(60) {
        client.publish("q", b"hello");
        std::thread::sleep(Duration::from_millis(2));
        let sample = |sample: Option<leveret_server::statistics::Sample>| {
            sample.map_or(0.0, |sample| sample.rates.counts.publish)
        };
        let statistics = node.statistics();
        let rates = [
            sample(statistics.queue(queue.id)),
            sample(statistics.channel(connection, 1)),
            sample(statistics.connection(connection)),
            sample(statistics.vhost("/")),
            statistics.total().rates.counts.publish,
        ];
        seen = rates.iter().all(|rate| *rate > 0.0);
        if seen {
            break;
        }
    }
    assert!(seen, "there is no rate");
    let span = Span { age_s: 60, step_s: 1 };
    eventually(|| series(&node.statistics().queue_history(queue.id, span), |point| point.ready).samples.len() > 1);
    drop(client);
    eventually(|| node.statistics().connection(connection).is_none() && node.connection_count() == 0);
    assert!(node.statistics().total().last.counts.publish > 0);
    let (churn, _) = node.statistics().churn();
    assert_eq!((churn.queue_created, churn.channel_created, churn.connection_created), (1, 1, 1));
}

#[test]
fn what_is_published_by_no_connection_counts() {
    let running = Running::start(&ServerConfig { statistics_interval: Duration::from_millis(20), ..config() });
    let node = running.server.node();
    let broker = running.server.broker();
    let (vhost, guest) = (broker.vhost("/").unwrap(), broker.user("guest").unwrap());
    let mut encoded = Vec::new();
    Properties::default().encode(&mut encoded);
    let (properties, body) = (PropertiesRef::parse(&encoded).unwrap(), vec![7; 200].into());
    let once = Once { exchange: "", routing_key: "nowhere", properties, body: &body };
    let published = publish_once(&vhost, &guest, &once).unwrap();
    node.statistics().count(&vhost.name, &published.counts(200));
    let counts = node.connection_totals().counts;
    let messages = counts.messages;
    assert_eq!((messages.publish, messages.confirm, messages.return_unroutable), (1, 1, 1));
    assert_eq!((counts.received_confirm, counts.routed, counts.sizes.bytes), (1, 0, 200));
    assert_eq!(counts.sizes.counts[..3], [0, 1, 0]);
    eventually(|| node.statistics().total().last.counts.publish == 1);
    assert_eq!(vhost.exchange("").unwrap().through.counts().return_unroutable, 1);
}

#[test]
fn consumers_of_one_queue_are_told_apart() {
    let running = Running::start(&config());
    let node = running.server.node();
    let mut client = client(&running);
    for name in ["q", "other"] {
        assert_eq!(client.declare(name), Reply::Ok);
        for number in 0..3 {
            assert_eq!(client.consume(name, &format!("{name}-{number}")), Reply::Ok);
        }
    }
    let queue = running.server.broker().vhost("/").unwrap().queue("q").unwrap();
    let mut tags: Vec<_> = node.consumers_of(&queue).iter().map(|listed| listed.consumer.tag.to_string()).collect();
    tags.sort();
    assert_eq!(tags, ["q-0", "q-1", "q-2"]);
}

#[test]
fn totals_never_fall_while_connections_come_and_go() {
    const CONNECTIONS: u64 = 100;
    let running = Running::start(&config());
    let node = running.server.node();
    std::thread::scope(|scope| {
        let comers = scope.spawn(|| {
            for _ in 0..CONNECTIONS {
                client(&running).publish("nowhere", b"x");
            }
        });
        let mut before = 0;
        while !comers.is_finished() {
            let now = node.connection_totals().counts.messages.publish;
            assert!(now >= before, "{now} after {before}");
            before = now;
        }
    });
    eventually(|| node.connection_totals().counts.messages.publish == CONNECTIONS && node.connection_count() == 0);
}
