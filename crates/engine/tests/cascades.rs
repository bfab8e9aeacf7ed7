//! What goes with what: exchanges that are deleted with their last binding, one after the other.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::sync::Arc;

use leveret_codec::table::FieldTable;
use leveret_engine::broker::Broker;
use leveret_engine::effects::Effects;
use leveret_engine::journal::MemoryJournal;
use leveret_engine::names::ConnectionId;
use leveret_engine::user::User;
use leveret_engine::vhost::{BindingKey, BindingsOf, ExchangeDeclare, QueueDeclare, Vhost};

const CONNECTION: ConnectionId = ConnectionId(1);

struct Fixture {
    vhost: Arc<Vhost>,
    guest: Arc<User>,
    _broker: Broker,
}

impl Fixture {
    /// With a queue `q`.
    fn new() -> Self {
        let broker = Broker::new(Arc::<MemoryJournal>::default());
        let (vhost, guest) = (broker.vhost("/").unwrap(), broker.user("guest").unwrap());
        let (durable, exclusive, auto_delete, random) = (false, false, false, [0; 16]);
        let arguments = &FieldTable::default();
        let declare = QueueDeclare { name: "q", durable, exclusive, auto_delete, arguments, random };
        vhost.declare_queue(&declare, &guest, CONNECTION).unwrap();
        Self { vhost, guest, _broker: broker }
    }

    fn exchange(&self, name: &str, auto_delete: bool) {
        let (kind, durable, internal, arguments) = ("fanout", false, false, &FieldTable::default());
        let declare = ExchangeDeclare { name, kind, durable, auto_delete, internal, arguments };
        self.vhost.declare_exchange(&declare, &self.guest).unwrap();
    }

    /// Binds an exchange to `q`, or to the exchange of another name.
    fn bind(&self, source: &str, destination: &str) {
        let key = BindingKey { source, routing_key: b"", arguments: &FieldTable::default(), user: "guest" };
        match destination {
            "q" => self.vhost.bind_queue(&key, "q", CONNECTION, &mut Effects::default()),
            exchange => self.vhost.bind_exchange(&key, exchange, &mut Effects::default()),
        }
        .unwrap();
    }

    fn unbind(&self, source: &str) {
        let key = BindingKey { source, routing_key: b"", arguments: &FieldTable::default(), user: "guest" };
        self.vhost.unbind_queue(&key, "q", CONNECTION).unwrap();
    }

    /// Names of the exchanges that clients have declared.
    fn exchanges(&self) -> Vec<String> {
        let exchanges = self.vhost.exchanges();
        let names = exchanges.iter().map(|exchange| exchange.name.to_string());
        let mut names: Vec<String> = names.filter(|name| !name.is_empty() && !name.starts_with("amq.")).collect();
        names.sort_unstable();
        names
    }

    /// A chain of exchanges, each of which goes with its only binding: to the next, and of the last to `q`.
    fn chain(&self, length: usize) {
        for place in 0..length {
            self.exchange(&format!("x{place}"), true);
        }
        for place in 1..length {
            self.bind(&format!("x{}", place - 1), &format!("x{place}"));
        }
        self.bind(&format!("x{}", length - 1), "q");
    }
}

/// It is a client that makes it so long: no stack may depend on it.
#[test]
fn a_chain_of_exchanges_goes_however_long_it_is() {
    const LENGTH: usize = 10_000;
    let last = format!("x{}", LENGTH - 1);
    let fixture = Fixture::new();
    let ends: [&dyn Fn(); 3] = [
        &|| fixture.unbind(&last),
        &|| {
            fixture.vhost.delete_exchange(&last, false, &fixture.guest).unwrap();
        },
        &|| {
            let none = (false, false);
            fixture.vhost.delete_queue("q", none, &fixture.guest, CONNECTION, &mut Effects::default()).unwrap();
        },
    ];
    for end in ends {
        fixture.chain(LENGTH);
        end();
        assert_eq!(fixture.exchanges(), Vec::<String>::new());
        assert!(fixture.vhost.bindings(BindingsOf::All).is_empty());
    }
}

#[test]
fn rings_and_forks_go_when_nothing_is_left_to_lead_to() {
    let fixture = Fixture::new();
    for (name, auto_delete) in [("a", true), ("b", true), ("c", true), ("stays", false), ("other", true)] {
        fixture.exchange(name, auto_delete);
    }
    // The ring of a and b leads to c as well, and that to the queue; "other" leads to "stays" too.
    for (source, destination) in
        [("a", "b"), ("b", "a"), ("b", "c"), ("c", "q"), ("other", "c"), ("other", "stays"), ("stays", "c")]
    {
        fixture.bind(source, destination);
    }
    fixture.unbind("c");
    // A ring keeps itself, as the binding to an exchange that stays keeps the other.
    assert_eq!(fixture.exchanges(), ["a", "b", "other", "stays"]);
    fixture.vhost.delete_exchange("stays", false, &fixture.guest).unwrap();
    assert_eq!(fixture.exchanges(), ["a", "b"]);
    fixture.vhost.delete_exchange("b", false, &fixture.guest).unwrap();
    assert_eq!(fixture.exchanges(), Vec::<String>::new());
}
