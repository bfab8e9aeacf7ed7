//! What a publish pays for finding its destinations, by type of exchange and number of bindings.
//!
//! Each table gives the message one destination, except the fanout, which gives it all. What the headers exchange costs
//! with `same_kind` is the case in which one argument is common to all bindings.

use std::hint::black_box;

use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::exchange::ExchangeKind;
use leveret_engine::exchange::table::{Subject, Table};

use super::{Case, OPERATIONS};

const BINDINGS: [u32; 3] = [1, 100, 10_000];

/// A hash table's collisions depend on its random seed. So that they even out, a row goes round many keys and, where
/// that takes no time, many tables.
const KEYS: u32 = OPERATIONS;
const TABLES: u32 = 16;

/// One table and the message that is routed by it.
#[derive(Clone, Copy)]
struct Routing {
    name: &'static str,
    kind: ExchangeKind,
    key: fn(u32) -> String,
    arguments: fn(u32) -> FieldTable,
    /// Of a message for the binding of that number.
    message_key: fn(u32) -> String,
    headers: fn(u32) -> FieldTable,
}

const ROUTINGS: &[Routing] = &[
    Routing {
        name: "direct",
        kind: ExchangeKind::Direct,
        key: |n| format!("orders.created.{n}"),
        arguments: nothing,
        message_key: |n| format!("orders.created.{n}"),
        headers: nothing,
    },
    Routing {
        name: "fanout",
        kind: ExchangeKind::Fanout,
        key: |_| String::new(),
        arguments: nothing,
        message_key: |n| format!("orders.created.{n}"),
        headers: nothing,
    },
    Routing {
        name: "topic_literal",
        kind: ExchangeKind::Topic,
        key: |n| format!("orders.created.{n}"),
        arguments: nothing,
        message_key: |n| format!("orders.created.{n}"),
        headers: nothing,
    },
    Routing {
        name: "topic_star",
        kind: ExchangeKind::Topic,
        key: |n| format!("*.created.{n}"),
        arguments: nothing,
        message_key: |n| format!("orders.created.{n}"),
        headers: nothing,
    },
    Routing {
        name: "topic_hash",
        kind: ExchangeKind::Topic,
        key: |n| format!("orders.{n}.#"),
        arguments: nothing,
        message_key: |n| format!("orders.{n}.created.today"),
        headers: nothing,
    },
    Routing {
        name: "topic_hash_in_front",
        kind: ExchangeKind::Topic,
        key: |n| format!("#.created.{n}"),
        arguments: nothing,
        message_key: |n| format!("shop.orders.created.{n}"),
        headers: nothing,
    },
    Routing {
        name: "headers_all",
        kind: ExchangeKind::Headers,
        key: |_| String::new(),
        arguments: |n| arguments("all", &[("kind", n), ("tenant", n)]),
        message_key: |_| String::new(),
        headers: |n| message_headers(n, n),
    },
    Routing {
        name: "headers_all_same_kind",
        kind: ExchangeKind::Headers,
        key: |_| String::new(),
        arguments: |n| arguments("all", &[("kind", 0), ("tenant", n)]),
        message_key: |_| String::new(),
        headers: |n| message_headers(0, n),
    },
    Routing {
        name: "headers_any",
        kind: ExchangeKind::Headers,
        key: |_| String::new(),
        arguments: |n| arguments("any", &[("kind", n), ("tenant", n)]),
        message_key: |_| String::new(),
        headers: |n| message_headers(n, n),
    },
];

pub fn cases() -> Vec<Case> {
    let of_types = ROUTINGS.iter().flat_map(|routing| BINDINGS.map(|bindings| route(*routing, bindings)));
    of_types.chain([1, 20].map(many_hashes)).collect()
}

fn route(routing: Routing, bindings: u32) -> Case {
    Case::repeated(format!("route_{}/{bindings}", routing.name), move || {
        let tables = (0..if bindings <= 100 { TABLES } else { 1 }).map(|_| {
            let mut table = Table::new(routing.kind, &FieldTable::default());
            for n in 0..bindings {
                table.bind((routing.key)(n).as_bytes(), &(routing.arguments)(n), n);
            }
            table
        });
        let messages = (0..KEYS).map(|n| {
            let mut properties = Vec::new();
            let headers = Some((routing.headers)(n % bindings));
            Properties { headers, ..Properties::default() }.encode(&mut properties);
            ((routing.message_key)(n % bindings), properties)
        });
        visit(tables.collect(), messages.collect())
    })
}

/// A pattern with many `#` that does not match: the ways to try grow exponentially with them, the work must not.
fn many_hashes(hashes: u32) -> Case {
    Case::repeated(format!("route_topic_many_hashes/{hashes}"), move || {
        let pattern: String = (0..hashes).map(|n| format!("#.{}.", n % 3)).collect();
        let key: String = (0..hashes * 3).map(|n| format!("{}.", n % 3)).collect();
        let tables = (0..TABLES).map(|_| {
            let mut table = Table::new(ExchangeKind::Topic, &FieldTable::default());
            table.bind(format!("{pattern}end").as_bytes(), &FieldTable::default(), 0);
            table
        });
        visit(tables.collect(), vec![(format!("{key}end"), vec![0, 0])])
    })
}

/// Routes one message by one table at a call, all in turn.
fn visit(tables: Vec<Table<u32>>, messages: Vec<(String, Vec<u8>)>) -> impl FnMut() {
    let mut turn = 0;
    move || {
        if let (Some(table), Some((key, properties))) =
            (tables.get(turn % tables.len()), messages.get(turn % messages.len()))
        {
            black_box(reached(table, black_box(key.as_bytes()), black_box(properties)));
        }
        turn += 1;
    }
}

fn reached(table: &Table<u32>, key: &[u8], properties: &[u8]) -> u32 {
    let mut sum = 0_u32;
    let keys = [key];
    let subject = Subject { properties: PropertiesRef::from_checked(properties), ..Subject::by_key(&keys) };
    table.visit(&subject, &mut |destination| sum = sum.wrapping_add(*destination + 1));
    sum
}

fn nothing(_: u32) -> FieldTable {
    FieldTable::default()
}

fn arguments(x_match: &str, entries: &[(&str, u32)]) -> FieldTable {
    let mut table = FieldTable::default();
    table.push(*b"x-match", text(x_match));
    for (name, value) in entries {
        table.push(name.as_bytes(), FieldValue::U32(*value));
    }
    table
}

/// Two headers that bindings ask for among others that they do not.
fn message_headers(kind: u32, tenant: u32) -> FieldTable {
    let mut table = FieldTable::default();
    table.push(*b"trace-id", text("4bf92f3577b34da6a3ce929d0e0e4736"));
    table.push(*b"kind", FieldValue::I64(kind.into()));
    table.push(*b"content-version", FieldValue::I64(3));
    table.push(*b"tenant", FieldValue::I64(tenant.into()));
    table
}

fn text(text: &str) -> FieldValue {
    FieldValue::LongStr(text.as_bytes().into())
}
