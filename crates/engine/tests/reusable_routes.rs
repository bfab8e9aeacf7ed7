//! Which routes may be used again for the same exchange and key, and until when.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use leveret_codec::properties::PropertiesRef;
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::broker::Broker;
use leveret_engine::effects::Effects;
use leveret_engine::exchange::ExchangeKind;
use leveret_engine::journal::MemoryJournal;
use leveret_engine::names::ConnectionId;
use leveret_engine::user::User;
use leveret_engine::vhost::{BindingKey, ExchangeDeclare, QueueDeclare, Routed, Vhost};

const CONNECTION: ConnectionId = ConnectionId(1);

struct Fixture {
    vhost: Arc<Vhost>,
    guest: Arc<User>,
    _broker: Broker,
}

fn text(name: &str, value: &str) -> FieldTable {
    let mut table = FieldTable::default();
    table.push(name.as_bytes(), FieldValue::LongStr(value.as_bytes().into()));
    table
}

impl Fixture {
    /// With a queue `q`.
    fn new() -> Self {
        let broker = Broker::new(Arc::<MemoryJournal>::default());
        let (vhost, guest) = (broker.vhost("/").unwrap(), broker.user("guest").unwrap());
        let declare = QueueDeclare {
            name: "q",
            durable: false,
            exclusive: false,
            auto_delete: false,
            arguments: &FieldTable::default(),
            random: [0; 16],
        };
        vhost.declare_queue(&declare, &guest, CONNECTION).unwrap();
        Self { vhost, guest, _broker: broker }
    }

    fn exchange(&self, name: &str, kind: &str, arguments: &FieldTable) {
        let declare = ExchangeDeclare { name, kind, durable: false, auto_delete: false, internal: false, arguments };
        self.vhost.declare_exchange(&declare, &self.guest).unwrap();
    }

    /// Binds `q`, or the exchange of another name.
    fn bind(&self, source: &str, destination: &str) {
        let arguments = text("rjms_erlang_selector", "true.");
        let routing_key = if source == ExchangeKind::LocalRandom.as_str() { &b""[..] } else { b"1" };
        let key = BindingKey { source, routing_key, arguments: &arguments, user: "guest" };
        let mut effects = Effects::default();
        if destination == "q" {
            self.vhost.bind_queue(&key, "q", CONNECTION, &mut effects).unwrap();
        } else {
            self.vhost.bind_exchange(&key, destination, &mut effects).unwrap();
        }
        effects.carry_out();
    }

    fn route(&self, exchange: &str, keys: &[&[u8]]) -> Routed {
        let exchange = self.vhost.exchange(exchange).unwrap();
        self.vhost.route(&exchange, keys, PropertiesRef::from_checked(&[0, 0]))
    }
}

#[test]
fn a_route_by_the_key_alone_is_used_again() {
    use ExchangeKind::{ConsistentHash, Direct, Fanout, ModulusHash, Topic};
    for kind in ExchangeKind::ALL {
        let fixture = Fixture::new();
        let name = kind.as_str();
        fixture.exchange(name, name, &FieldTable::default());
        let goes_by_key = matches!(kind, Direct | Fanout | Topic | ConsistentHash | ModulusHash);
        let empty = fixture.route(name, &[b"1"]);
        assert_eq!((empty.is_reusable(), empty.queues.len()), (goes_by_key, 0), "{name}");
        fixture.bind(name, "q");
        assert!(!empty.is_current(), "{name}");
        let routed = fixture.route(name, &[b"1"]);
        // The binding of the headers exchange has an argument that the message has not.
        let reached = usize::from(kind != ExchangeKind::Headers);
        assert_eq!((routed.is_reusable(), routed.queues.len()), (goes_by_key, reached), "{name}");
        assert_eq!(routed.is_current(), goes_by_key, "{name}");
        assert_eq!(routed.is_remembered(), kind == ExchangeKind::RecentHistory, "{name}");
        assert!(!fixture.route(name, &[b"1", b"2"]).is_reusable(), "{name}");
    }
}

/// More exchanges than are compared one by one, each of which leads back as well.
#[test]
fn each_exchange_is_visited_once() {
    const EXCHANGES: usize = 50;
    let fixture = Fixture::new();
    fixture.exchange("hub", "fanout", &FieldTable::default());
    for place in 0..EXCHANGES {
        let name = format!("x{place}");
        fixture.exchange(&name, "fanout", &FieldTable::default());
        fixture.bind("hub", &name);
        fixture.bind(&name, "hub");
        fixture.bind(&name, &format!("x{}", place.saturating_sub(1)));
    }
    assert_eq!(fixture.route("hub", &[b"1"]).queues.len(), 0);
    fixture.bind("x49", "q");
    assert_eq!(fixture.route("hub", &[b"1"]).queues.len(), 1);
    assert_eq!(fixture.route("x7", &[b"1"]).queues.len(), 1);
}

#[test]
fn a_hash_by_anything_else_is_not() {
    for arguments in [text("hash-header", "h"), text("hash-property", "message_id")] {
        let fixture = Fixture::new();
        fixture.exchange("x", "x-consistent-hash", &arguments);
        fixture.bind("x", "q");
        assert!(!fixture.route("x", &[b"1"]).is_reusable());
    }
}

#[test]
fn one_on_the_way_decides_for_all() {
    for kind in ["headers", "x-random", "x-recent-history", "x-jms-topic"] {
        let fixture = Fixture::new();
        fixture.exchange("inner", kind, &FieldTable::default());
        fixture.exchange("outer", "direct", &FieldTable::default());
        fixture.exchange("aside", "direct", &text("alternate-exchange", "inner"));
        fixture.bind("outer", "inner");
        for exchange in ["outer", "aside"] {
            let routed = fixture.route(exchange, &[b"1"]);
            assert!(!routed.is_reusable(), "{kind} behind {exchange}");
            assert_eq!(routed.is_remembered(), kind == "x-recent-history");
        }
        // It is not on the way of other keys.
        assert!(fixture.route("outer", &[b"2"]).is_reusable(), "{kind}");
    }
}
