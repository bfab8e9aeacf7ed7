//! The pages are read as strictly as Prometheus reads them, while messages move.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use leveret_codec::content::ContentHeader;
use leveret_codec::frame::{FrameKind, begin_frame, end_frame};
use leveret_codec::method::{
    BasicConsume, BasicPublish, ChannelOpen, ConnectionOpen, ConnectionStartOk, ConnectionTuneOk, Method, QueueDeclare,
};
use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::table::{FieldTable, TableRef};
use leveret_engine::names::ConnectionId;
use leveret_server::{ListenerConfig, Server, ServerConfig};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::*;

/// Samples by name and labels, and the types by name.
#[derive(Debug, Default)]
struct Page {
    samples: BTreeMap<(String, String), f64>,
    types: BTreeMap<String, String>,
}

impl Page {
    /// Reads a page: every line has to be what it should be, no sample comes twice, all of a metric stand together and after its
    /// type and its words.
    fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let (mut current, mut done) = (String::new(), BTreeSet::new());
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(is_name(name), "{line}");
                assert!(["counter", "gauge", "histogram", "untyped"].contains(&kind), "{line}");
                assert!(done.insert(std::mem::replace(&mut current, name.to_owned())), "{current} comes twice");
                assert!(page.types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} comes twice");
                assert_eq!(name.ends_with("_total") || name.ends_with("stream_segments"), kind == "counter", "{line}");
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                assert!(rest.strip_prefix(&*current).unwrap().starts_with(' '), "{line}");
            } else {
                let (name, labels, value) = sample(line);
                let family = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
                let is_histogram =
                    family.is_some_and(|family| page.types.get(family).is_some_and(|kind| kind == "histogram"));
                assert_eq!(if is_histogram { family.unwrap() } else { &*name }, current, "{line}");
                assert!(page.samples.insert((name, labels), value).is_none(), "{line} comes twice");
            }
        }
        page
    }

    fn value(&self, name: &str, labels: &str) -> f64 {
        let key = (name.to_owned(), labels.to_owned());
        *self.samples.get(&key).unwrap_or_else(|| panic!("no {name}{{{labels}}}"))
    }

    fn names(&self) -> BTreeSet<&str> {
        self.samples.keys().map(|(name, _)| &**name).collect()
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Name, labels and value of a line.
fn sample(line: &str) -> (String, String, f64) {
    let end = line.find(['{', ' ']).unwrap();
    let (name, rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once("} ").unwrap(),
        None => ("", rest.strip_prefix(' ').unwrap()),
    };
    check_labels(labels);
    (name.to_owned(), labels.to_owned(), value.parse().unwrap())
}

fn check_labels(labels: &str) {
    let mut rest = labels;
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap();
        assert!(is_name(name), "{labels}");
        let mut escaped = false;
        let end = value.find(|letter| {
            let ends = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            assert_ne!(letter, '\n');
            ends
        });
        rest = &value[end.unwrap() + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

fn start() -> Server {
    let listeners = vec![ListenerConfig::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))];
    Server::start(&ServerConfig { listeners, ..ServerConfig::default() }).unwrap()
}

fn method<'m>(channel: u16, method: impl Into<Method<'m>>) -> Vec<u8> {
    let mut frame = Vec::new();
    method.into().write_frame(channel, &mut frame);
    frame
}

fn publish(routing_key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut out = method(1, BasicPublish { exchange: b"", routing_key, mandatory: false, immediate: false });
    let mut encoded = Vec::new();
    Properties::default().encode(&mut encoded);
    let properties = PropertiesRef::parse(&encoded).unwrap();
    ContentHeader { class_id: 60, weight: 0, body_size: content.len() as u64, properties }.write_frame(1, &mut out);
    let start = begin_frame(&mut out, FrameKind::Body, 1);
    out.extend_from_slice(content);
    end_frame(&mut out, start);
    out
}

/// A client that has opened a channel; it never reads.
async fn client(server: &Server) -> TcpStream {
    let mut properties = Vec::new();
    FieldTable::default().encode(&mut properties);
    let start_ok = ConnectionStartOk {
        client_properties: TableRef::from_raw(&properties),
        mechanism: "PLAIN",
        response: b"\0guest\0guest",
        locale: "en_US",
    };
    let hello = [
        PROTOCOL_HEADER.to_vec(),
        method(0, start_ok),
        method(0, ConnectionTuneOk { channel_max: 2047, frame_max: 131_072, heartbeat: 0 }),
        method(0, ConnectionOpen { virtual_host: "/" }),
        method(1, ChannelOpen),
    ];
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    socket.write_all(&hello.concat()).await.unwrap();
    socket
}

/// The page, once it fulfils `wanted`.
async fn page_with(node: &Node, wanted: impl Fn(&Page) -> bool) -> Page {
    let since = Instant::now();
    loop {
        let page = Page::parse(&pages::aggregated(node));
        if wanted(&page) {
            return page;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{page:#?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// What the queries of Grafana's dashboard 10991 ask for.
const DASHBOARD: &[&str] = &[
    "rabbitmq_build_info",
    "rabbitmq_identity_info",
    "rabbitmq_erlang_uptime_seconds",
    "rabbitmq_channels",
    "rabbitmq_channels_opened_total",
    "rabbitmq_channels_closed_total",
    "rabbitmq_connections",
    "rabbitmq_connections_opened_total",
    "rabbitmq_connections_closed_total",
    "rabbitmq_queues",
    "rabbitmq_queues_declared_total",
    "rabbitmq_queues_created_total",
    "rabbitmq_queues_deleted_total",
    "rabbitmq_queue_messages_ready",
    "rabbitmq_queue_messages_unacked",
    "rabbitmq_global_publishers",
    "rabbitmq_global_consumers",
    "rabbitmq_global_messages_received_total",
    "rabbitmq_global_messages_received_confirm_total",
    "rabbitmq_global_messages_confirmed_total",
    "rabbitmq_global_messages_routed_total",
    "rabbitmq_global_messages_unroutable_dropped_total",
    "rabbitmq_global_messages_unroutable_returned_total",
    "rabbitmq_global_messages_delivered_total",
    "rabbitmq_global_messages_delivered_consume_auto_ack_total",
    "rabbitmq_global_messages_delivered_consume_manual_ack_total",
    "rabbitmq_global_messages_delivered_get_auto_ack_total",
    "rabbitmq_global_messages_delivered_get_manual_ack_total",
    "rabbitmq_global_messages_get_empty_total",
    "rabbitmq_global_messages_redelivered_total",
    "rabbitmq_global_messages_acknowledged_total",
    "rabbitmq_message_size_bytes_bucket",
    "rabbitmq_message_size_bytes_count",
    "rabbitmq_message_size_bytes_sum",
    "rabbitmq_process_resident_memory_bytes",
    "rabbitmq_process_open_fds",
    "rabbitmq_process_max_fds",
    "rabbitmq_resident_memory_limit_bytes",
    "rabbitmq_disk_space_available_bytes",
    "rabbitmq_disk_space_available_limit_bytes",
];

#[tokio::test]
async fn the_dashboard_finds_all_that_it_asks_for() {
    let server = start();
    let page = Page::parse(&pages::aggregated(&server.node()));
    let names = page.names();
    let missing: Vec<_> = DASHBOARD.iter().filter(|name| !names.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let (_, identity) = page.samples.keys().find(|(name, _)| name == "rabbitmq_identity_info").unwrap();
    assert!(
        identity.contains("rabbitmq_node=\"rabbit@localhost\",rabbitmq_cluster=\"rabbit@localhost\""),
        "{identity}"
    );
    assert!(identity.ends_with("rabbitmq_endpoint=\"aggregated\""), "{identity}");
    assert!(page.value("rabbitmq_process_resident_memory_bytes", "") > 1e6);
    assert!(page.value("rabbitmq_process_open_fds", "") > 3.0);
    server.shutdown().await;
}

#[tokio::test]
async fn counters_rise_with_messages_and_never_fall() {
    let server = start();
    let node = server.node();
    let mut socket = client(&server).await;
    let declare = method(1, QueueDeclare { queue: "q\"uote", ..QueueDeclare::default() });
    let consume = method(1, BasicConsume { queue: "q\"uote", no_ack: true, ..BasicConsume::default() });
    let publishes = [publish(b"q\"uote", &[7; 100]), publish(b"q\"uote", &[7; 5000]), publish(b"nowhere", b"x")];
    socket.write_all(&[declare, publishes.concat()].concat()).await.unwrap();
    let amqp = "protocol=\"amqp091\"";
    let received = "rabbitmq_global_messages_received_total";
    // What connections and queues count is not read at one moment.
    let ready = "rabbitmq_queue_messages_ready";
    let page = page_with(&node, |page| page.value(received, amqp) == 3.0 && page.value(ready, "") == 2.0).await;
    assert_eq!(page.value("rabbitmq_queue_messages_ready_bytes", ""), 5100.0);
    assert_eq!(page.value("rabbitmq_global_messages_routed_total", amqp), 2.0);
    assert_eq!(page.value("rabbitmq_global_messages_unroutable_dropped_total", amqp), 1.0);
    assert_eq!((page.value("rabbitmq_connections", ""), page.value("rabbitmq_channels", "")), (1.0, 1.0));
    let bucket = |le: &str| page.value("rabbitmq_message_size_bytes_bucket", &format!("{amqp},le=\"{le}\""));
    assert_eq!(
        [bucket("100.0"), bucket("1000.0"), bucket("10000.0"), bucket("1e+08"), bucket("+Inf")],
        [2.0, 2.0, 3.0, 3.0, 3.0]
    );
    assert_eq!(page.value("rabbitmq_message_size_bytes_sum", amqp), 5101.0);

    socket.write_all(&consume).await.unwrap();
    let delivered = "rabbitmq_global_messages_delivered_consume_auto_ack_total";
    let classic = "protocol=\"amqp091\",queue_type=\"rabbit_classic_queue\"";
    let is_consumed =
        |page: &Page| page.value(delivered, classic) == 2.0 && page.value("rabbitmq_consumers", "") == 1.0;
    let page = page_with(&node, is_consumed).await;
    assert_eq!(page.value(ready, ""), 0.0);

    // With the connection go its channel and consumer; what they counted stays.
    drop(socket);
    let closed = "rabbitmq_connections_closed_total";
    let is_gone = |page: &Page| page.value("rabbitmq_connections", "") == 0.0 && page.value(closed, "") == 1.0;
    let page = page_with(&node, is_gone).await;
    assert_eq!((page.value(received, amqp), page.value(delivered, classic)), (3.0, 2.0));
    assert_eq!(page.value("rabbitmq_channel_messages_published_total", ""), 3.0);
    server.shutdown().await;
}

#[tokio::test]
async fn each_thing_is_told_of_by_itself_where_that_is_asked_for() {
    let server = start();
    let node = server.node();
    let mut socket = client(&server).await;
    let declares = ["a", "b"].map(|queue| method(1, QueueDeclare { queue, ..QueueDeclare::default() }));
    socket.write_all(&[declares.concat(), publish(b"a", b"1")].concat()).await.unwrap();
    let published = "rabbitmq_channel_messages_published_total";
    let is_there =
        |page: &Page| page.value("rabbitmq_queue_messages_ready", "") == 1.0 && page.value(published, "") == 1.0;
    page_with(&node, is_there).await;
    let page = Page::parse(&pages::per_object(&node));
    for (queue, ready) in [("a", 1.0), ("b", 0.0)] {
        assert_eq!(page.value("rabbitmq_queue_messages_ready", &format!("vhost=\"/\",queue=\"{queue}\"")), ready);
        let info = format!("vhost=\"/\",queue=\"{queue}\",queue_type=\"rabbit_classic_queue\",membership=\"leader\"");
        assert_eq!(page.value("rabbitmq_queue_info", &info), 1.0);
    }
    let channel = node.broker().services.notices.pid(ConnectionId(1), 1);
    let labels = format!("channel=\"{channel}\",vhost=\"/\"");
    assert_eq!(page.value(published, &labels), 1.0);
    assert!(page.names().contains("rabbitmq_connection_incoming_bytes_total"));

    let (families, filter) = asked_for("family=queue_coarse_metrics&family=exchange_names&vhost=%2F");
    let page = Page::parse(&pages::detailed(&node, &families, &filter));
    assert_eq!(page.value("rabbitmq_detailed_queue_messages", "vhost=\"/\",queue=\"a\""), 1.0);
    assert_eq!(page.value("rabbitmq_cluster_exchange_name", "vhost=\"/\",exchange=\"amq.topic\",type=\"topic\""), 1.0);
    assert!(!page.names().contains("rabbitmq_detailed_queue_consumers"));
    let (families, filter) = asked_for("family=queue_coarse_metrics&vhost=other");
    assert!(
        !Page::parse(&pages::detailed(&node, &families, &filter)).names().contains("rabbitmq_detailed_queue_messages")
    );
    let breakdown = Page::parse(&pages::memory_breakdown(&node));
    assert!(breakdown.value("rabbitmq_memory_other_system_bytes", "") > 1e6);
    server.shutdown().await;
}

/// Declares the queues of these numbers, and waits until they are there.
async fn declare(node: &Node, socket: &mut TcpStream, numbers: std::ops::Range<u32>) {
    let there = f64::from(numbers.end);
    for number in numbers {
        let queue = &*format!("queue-{number}");
        socket.write_all(&method(1, QueueDeclare { queue, nowait: true, ..QueueDeclare::default() })).await.unwrap();
    }
    page_with(node, |page| page.value("rabbitmq_queues", "") == there).await;
}

/// How long this thread has had a core, to some milliseconds: what others do with it does not count.
fn busy() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

fn time_of(count: usize, node: &Node) -> Duration {
    let since = busy();
    for _ in 0..count {
        pages::aggregated(node);
    }
    busy() - since
}

#[tokio::test]
async fn the_time_for_a_page_grows_no_faster_than_the_queues() {
    let server = start();
    let node = server.node();
    let mut socket = client(&server).await;
    declare(&node, &mut socket, 0..1000).await;
    let small = time_of(100, &node);
    declare(&node, &mut socket, 1000..10_000).await;
    let large = time_of(10, &node);
    println!("100 pages of 1000 queues: {small:?}; 10 pages of 10,000: {large:?}");
    // As many queues. Were each looked at for each other, it would be ten times.
    assert!(large < small * 5, "{large:?} in place of {small:?}");
    server.shutdown().await;
}

#[tokio::test]
async fn pages_are_found_below_the_path_that_is_set() {
    use tower_service::Service as _;

    let server = start();
    for (path, pages) in [
        ("/metrics", ["/metrics", "/metrics/per-object", "/metrics/detailed", "/metrics/memory-breakdown"]),
        ("/", ["/", "/per-object", "/detailed", "/memory-breakdown"]),
        ("a/b/", ["/a/b", "/a/b/per-object", "/a/b/detailed", "/a/b/memory-breakdown"]),
    ] {
        let mut router = router_with(server.node(), &Options { path: path.to_owned(), per_object: false });
        for page in pages {
            let request = http::Request::builder().uri(page).body(axum::body::Body::empty()).unwrap();
            assert_eq!(router.call(request).await.unwrap().status(), StatusCode::OK, "{page}");
        }
    }
    server.shutdown().await;
}
