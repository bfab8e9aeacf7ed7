//! What a publish pays for finding its destinations, by type of exchange and number of bindings.
//!
//! Each table gives the message one destination, except the fanout, which gives it all. What the headers exchange costs
//! with `same kind` is the case in which one argument is common to all bindings.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use leveret_codec::table::{FieldTable, FieldValue, TableRef};
use leveret_engine::exchange::ExchangeKind;
use leveret_engine::exchange::table::Table;

const BINDINGS: [u32; 3] = [1, 100, 10_000];

/// One table and the message that is routed by it.
struct Case {
    name: &'static str,
    kind: ExchangeKind,
    key: fn(u32) -> String,
    arguments: fn(u32) -> FieldTable,
    message_key: &'static str,
    headers: fn() -> FieldTable,
}

const CASES: &[Case] = &[
    Case {
        name: "direct",
        kind: ExchangeKind::Direct,
        key: |n| format!("orders.created.{n}"),
        arguments: nothing,
        message_key: "orders.created.0",
        headers: FieldTable::default,
    },
    Case {
        name: "fanout",
        kind: ExchangeKind::Fanout,
        key: |_| String::new(),
        arguments: nothing,
        message_key: "orders.created.0",
        headers: FieldTable::default,
    },
    Case {
        name: "topic literal",
        kind: ExchangeKind::Topic,
        key: |n| format!("orders.created.{n}"),
        arguments: nothing,
        message_key: "orders.created.0",
        headers: FieldTable::default,
    },
    Case {
        name: "topic star",
        kind: ExchangeKind::Topic,
        key: |n| format!("*.created.{n}"),
        arguments: nothing,
        message_key: "orders.created.0",
        headers: FieldTable::default,
    },
    Case {
        name: "topic hash",
        kind: ExchangeKind::Topic,
        key: |n| format!("orders.{n}.#"),
        arguments: nothing,
        message_key: "orders.0.created.today",
        headers: FieldTable::default,
    },
    Case {
        name: "topic hash in front",
        kind: ExchangeKind::Topic,
        key: |n| format!("#.created.{n}"),
        arguments: nothing,
        message_key: "shop.orders.created.0",
        headers: FieldTable::default,
    },
    Case {
        name: "headers all",
        kind: ExchangeKind::Headers,
        key: |_| String::new(),
        arguments: |n| arguments("all", &[("kind", n), ("tenant", n)]),
        message_key: "",
        headers: message_headers,
    },
    Case {
        name: "headers all, same kind",
        kind: ExchangeKind::Headers,
        key: |_| String::new(),
        arguments: |n| arguments("all", &[("kind", 0), ("tenant", n)]),
        message_key: "",
        headers: message_headers,
    },
    Case {
        name: "headers any",
        kind: ExchangeKind::Headers,
        key: |_| String::new(),
        arguments: |n| arguments("any", &[("kind", n), ("tenant", n)]),
        message_key: "",
        headers: message_headers,
    },
];

fn routing(criterion: &mut Criterion) {
    for case in CASES {
        let mut group = criterion.benchmark_group(case.name);
        for bindings in BINDINGS {
            let mut table = Table::new(case.kind);
            for n in 0..bindings {
                table.bind((case.key)(n).as_bytes(), &(case.arguments)(n), n);
            }
            group.bench_function(BenchmarkId::from_parameter(bindings), |bencher| {
                let mut headers = Vec::new();
                (case.headers)().encode(&mut headers);
                let key = case.message_key.as_bytes();
                bencher.iter(|| visits(&table, black_box(key), black_box(&headers)));
            });
        }
        group.finish();
    }
}

/// Patterns with many `#`: the number of ways to match grows exponentially with them, the work must not.
fn many_hashes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("topic many hashes");
    for hashes in [1, 5, 10, 20] {
        let pattern: String = (0..hashes).map(|n| format!("#.{}.", n % 3)).collect();
        let key: String = (0..hashes * 3).map(|n| format!("{}.", n % 3)).collect();
        let mut table = Table::new(ExchangeKind::Topic);
        table.bind(format!("{pattern}end").as_bytes(), &FieldTable::default(), 0);
        let key = format!("{key}end");
        group.bench_function(BenchmarkId::from_parameter(hashes), |bencher| {
            bencher.iter(|| visits(&table, black_box(key.as_bytes()), &[]));
        });
    }
    group.finish();
}

fn visits(table: &Table<u32>, key: &[u8], headers: &[u8]) -> u32 {
    let mut sum = 0_u32;
    table.visit(key, Some(TableRef::from_raw(headers)), &mut |destination| sum = sum.wrapping_add(*destination + 1));
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
fn message_headers() -> FieldTable {
    let mut table = FieldTable::default();
    table.push(*b"trace-id", text("4bf92f3577b34da6a3ce929d0e0e4736"));
    table.push(*b"kind", FieldValue::I32(0));
    table.push(*b"content-version", FieldValue::I64(3));
    table.push(*b"tenant", FieldValue::I64(0));
    table
}

fn text(text: &str) -> FieldValue {
    FieldValue::LongStr(text.as_bytes().into())
}

criterion_group!(benches, routing, many_hashes);
criterion_main!(benches);
