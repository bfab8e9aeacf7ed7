//! Routing tables against models that try every binding, one after the other.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "what helpers of tests run into fails the test")]

use std::collections::BTreeSet;

use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::exchange::ExchangeKind;
use leveret_engine::exchange::table::{NewBinding, Subject, Table, validate_binding};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// More than the number of destinations that are searched without an index.
const DESTINATIONS: u8 = 40;

#[derive(Clone, Debug, PartialEq)]
struct Binding {
    key: String,
    arguments: FieldTable,
    destination: u8,
}

#[derive(Clone, Debug)]
struct Message {
    key: String,
    headers: FieldTable,
}

/// A table and the list of bindings it should hold.
struct Pair {
    kind: ExchangeKind,
    table: Table<u8>,
    model: Vec<Binding>,
}

impl Pair {
    fn new(kind: ExchangeKind) -> Self {
        Self { kind, table: Table::new(kind, &FieldTable::default()), model: Vec::new() }
    }

    /// Binds, or unbinds what is bound.
    fn toggle(&mut self, binding: Binding) {
        let Binding { key, arguments, destination } = &binding;
        let (source, to) = ("e".into(), "q".into());
        let new = NewBinding { source: &source, key: key.as_bytes(), arguments, destination: &to, queue_type: None };
        validate_binding(self.kind, &new).unwrap();
        match self.model.iter().position(|bound| *bound == binding) {
            None => {
                self.table.bind(key.as_bytes(), arguments, *destination);
                self.model.push(binding);
            }
            Some(place) => {
                self.table.unbind(key.as_bytes(), arguments, destination);
                self.model.swap_remove(place);
            }
        }
    }

    fn assert_same(&self, message: &Message) {
        let mut encoded = Vec::new();
        let headers = Some(message.headers.clone());
        Properties { headers, ..Properties::default() }.encode(&mut encoded);
        let mut visited = BTreeSet::new();
        let keys = [message.key.as_bytes()];
        let subject = Subject { properties: PropertiesRef::from_checked(&encoded), ..Subject::by_key(&keys) };
        self.table.visit(&subject, &mut |&destination| {
            visited.insert(destination);
        });
        let matching = self.model.iter().filter(|binding| matches(self.kind, binding, message));
        let expected: BTreeSet<u8> = matching.map(|binding| binding.destination).collect();
        assert_eq!(visited, expected, "{message:?} among {:?}", self.model);
        assert_eq!(self.table.is_empty(), self.model.is_empty());
    }

    fn run(mut self, bindings: Vec<Binding>, messages: &[Message]) {
        for (step, binding) in bindings.into_iter().enumerate() {
            self.toggle(binding);
            self.assert_same(&messages[step % messages.len()]);
        }
        messages.iter().for_each(|message| self.assert_same(message));
        for binding in self.model.clone() {
            self.toggle(binding);
            self.assert_same(&messages[self.model.len() % messages.len()]);
        }
        assert!(self.table.is_empty());
    }
}

fn matches(kind: ExchangeKind, binding: &Binding, message: &Message) -> bool {
    match kind {
        ExchangeKind::Direct => binding.key == message.key,
        ExchangeKind::Fanout => true,
        ExchangeKind::Topic => topic_matches(&words(&binding.key), &words(&message.key)),
        ExchangeKind::Headers => headers_match(&binding.arguments, &message.headers),
        other => panic!("{other:?} has no model here"),
    }
}

fn words(key: &str) -> Vec<&str> {
    if key.is_empty() { Vec::new() } else { key.split('.').collect() }
}

fn topic_matches(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], key) => key.is_empty(),
        (["#", pattern @ ..], key) => (0..=key.len()).any(|taken| topic_matches(pattern, &key[taken..])),
        (["*", pattern @ ..], [_, key @ ..]) => topic_matches(pattern, key),
        ([literal, pattern @ ..], [word, key @ ..]) => literal == word && topic_matches(pattern, key),
        (_, []) => false,
    }
}

fn headers_match(arguments: &FieldTable, headers: &FieldTable) -> bool {
    let x_match = match arguments.get(b"x-match") {
        Some(FieldValue::LongStr(text)) => std::str::from_utf8(text).unwrap(),
        _ => "all",
    };
    let counts = |name: &[u8]| name != b"x-match" && (x_match.ends_with("-with-x") || !name.starts_with(b"x-"));
    let holds = |(name, value): &(Box<[u8]>, FieldValue)| match headers.get(name) {
        None => false,
        Some(header) => *value == FieldValue::Void || same_value(value, header),
    };
    let mut counting = arguments.0.iter().filter(|(name, _)| counts(name));
    if x_match.starts_with("all") { counting.all(holds) } else { counting.any(holds) }
}

fn same_value(a: &FieldValue, b: &FieldValue) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => return a == b,
        (None, None) => {}
        _ => return false,
    }
    match (a, b) {
        (FieldValue::F32(a), FieldValue::F64(b)) => f64::from(*a) == *b,
        (FieldValue::F64(a), FieldValue::F32(b)) => *a == f64::from(*b),
        (FieldValue::LongStr(a), FieldValue::ByteArray(b)) | (FieldValue::ByteArray(a), FieldValue::LongStr(b)) => {
            a == b
        }
        _ => a == b,
    }
}

fn number(value: &FieldValue) -> Option<i128> {
    Some(match *value {
        FieldValue::I8(value) => value.into(),
        FieldValue::U8(value) => value.into(),
        FieldValue::I16(value) => value.into(),
        FieldValue::U16(value) => value.into(),
        FieldValue::I32(value) => value.into(),
        FieldValue::U32(value) => value.into(),
        FieldValue::I64(value) => value.into(),
        FieldValue::Timestamp(value) => value.into(),
        _ => return None,
    })
}

/// Few words, so that keys and patterns meet.
fn key(words: &'static [&'static str], count: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    vec(select(words), count).prop_map(|words| words.join("."))
}

fn bindings(
    key: impl Strategy<Value = String>,
    arguments: impl Strategy<Value = FieldTable>,
) -> impl Strategy<Value = Vec<Binding>> {
    let binding = (key, arguments, 0..DESTINATIONS);
    vec(binding.prop_map(|(key, arguments, destination)| Binding { key, arguments, destination }), 1..50)
}

fn messages(
    key: impl Strategy<Value = String>,
    headers: impl Strategy<Value = FieldTable>,
) -> impl Strategy<Value = Vec<Message>> {
    vec((key, headers).prop_map(|(key, headers)| Message { key, headers }), 1..20)
}

fn value() -> impl Strategy<Value = FieldValue> {
    let number = -1_i8..3;
    prop_oneof![
        number.clone().prop_map(FieldValue::I8),
        (0_u8..3).prop_map(FieldValue::U8),
        number.clone().prop_map(|n| FieldValue::I16(n.into())),
        (0_u16..3).prop_map(FieldValue::U16),
        number.clone().prop_map(|n| FieldValue::I32(n.into())),
        (0_u32..3).prop_map(FieldValue::U32),
        number.clone().prop_map(|n| FieldValue::I64(n.into())),
        select(&[0, 1, u64::MAX][..]).prop_map(FieldValue::Timestamp),
        number.clone().prop_map(|n| FieldValue::F32(n.into())),
        number.clone().prop_map(|n| FieldValue::F64(n.into())),
        Just(FieldValue::F64(-0.0)),
        any::<bool>().prop_map(FieldValue::Bool),
        (0_u8..2, 0_u32..2).prop_map(|(scale, value)| FieldValue::Decimal { scale, value }),
        select(&["", "1", "a"][..]).prop_map(|text| FieldValue::LongStr(text.as_bytes().into())),
        select(&["", "1", "a"][..]).prop_map(|text| FieldValue::ByteArray(text.as_bytes().into())),
        number.clone().prop_map(|n| FieldValue::Array(vec![FieldValue::I32(n.into())])),
        number.prop_map(|n| FieldValue::Array(vec![FieldValue::I64(n.into())])),
        Just(FieldValue::Table(table(&[("a", FieldValue::Void)]))),
        Just(FieldValue::Void),
    ]
}

fn entries(count: std::ops::Range<usize>) -> impl Strategy<Value = FieldTable> {
    let name = select(&["a", "b", "c", "x-a", "x-b"][..]);
    vec((name, value()), count).prop_map(|entries| table(&entries))
}

fn arguments() -> impl Strategy<Value = FieldTable> {
    let x_match = proptest::option::of(select(&["all", "any", "all-with-x", "any-with-x"][..]));
    (x_match, entries(0..4)).prop_map(|(x_match, mut arguments)| {
        if let Some(x_match) = x_match {
            arguments.push(*b"x-match", FieldValue::LongStr(x_match.as_bytes().into()));
        }
        arguments
    })
}

fn table(entries: &[(&str, FieldValue)]) -> FieldTable {
    FieldTable(entries.iter().map(|(name, value)| (name.as_bytes().into(), value.clone())).collect())
}

const WORDS: &[&str] = &["", "a", "b", "c", "a*", "*", "#"];
const PATTERN_WORDS: &[&str] = &["", "a", "b", "c", "a*", "#a", "*", "*", "#", "#"];

proptest! {
    #[test]
    fn direct(
        bindings in bindings(key(WORDS, 0..3), entries(0..2)),
        messages in messages(key(WORDS, 0..3), Just(FieldTable::default())),
    ) {
        Pair::new(ExchangeKind::Direct).run(bindings, &messages);
    }

    #[test]
    fn fanout(
        bindings in bindings(key(WORDS, 0..3), entries(0..2)),
        messages in messages(key(WORDS, 0..3), Just(FieldTable::default())),
    ) {
        Pair::new(ExchangeKind::Fanout).run(bindings, &messages);
    }

    #[test]
    fn topic(
        bindings in bindings(key(PATTERN_WORDS, 0..6), Just(FieldTable::default())),
        messages in messages(key(WORDS, 0..7), Just(FieldTable::default())),
    ) {
        Pair::new(ExchangeKind::Topic).run(bindings, &messages);
    }

    #[test]
    fn headers(
        bindings in bindings(Just(String::new()), arguments()),
        messages in messages(Just(String::new()), entries(0..6)),
    ) {
        Pair::new(ExchangeKind::Headers).run(bindings, &messages);
    }
}

/// Takes for ever if alternatives are tried one after the other.
#[test]
fn many_hashes_in_a_pattern_cost_no_more_than_words_times_hashes() {
    let letters: Vec<String> = ('a'..='t').map(String::from).collect();
    let pattern = format!("#.{}.#.end", letters.join(".#."));
    let key = format!("{}.end", letters.join(".").repeat(6).replace("ta", "t.a"));
    let mut table = Table::new(ExchangeKind::Topic, &FieldTable::default());
    table.bind(pattern.as_bytes(), &FieldTable::default(), 1);
    for (key, expected) in [(key.clone(), 1), (format!("{key}.not"), 0)] {
        let mut visits = 0;
        table.visit(&Subject::by_key(&[key.as_bytes()]), &mut |_| visits += 1);
        assert_eq!(visits, expected, "{key}");
    }
}

/// The examples of the protocol manual, so that the model has something to stand on too.
#[test]
fn topic_examples() {
    let examples = [
        ("#", "", true),
        ("*", "", false),
        ("*", "a", true),
        ("*", "a.b", false),
        ("a.#", "a", true),
        ("a.#", "a.b.c", true),
        ("#.a", "a", true),
        ("#.a", "b.a", true),
        ("a.*.#", "a.b", true),
        ("a.*.#", "a", false),
        ("*.*", "a.b", true),
        ("*.*", ".", true),
        ("#.#", "", true),
        ("*.#", "", false),
        ("*.#", "a", true),
        ("", "", true),
        ("", "a", false),
        ("", ".", false),
        ("a.#.b", "a.b", true),
        ("a*", "ab", false),
        ("a*", "a*", true),
        ("a..b", "a..b", true),
        ("a.b", "a..b", false),
        ("a.*.b", "a..b", true),
    ];
    for (pattern, key, expected) in examples {
        let mut pair = Pair::new(ExchangeKind::Topic);
        pair.toggle(Binding { key: pattern.to_owned(), arguments: FieldTable::default(), destination: 0 });
        let message = Message { key: key.to_owned(), headers: FieldTable::default() };
        assert_eq!(matches(pair.kind, &pair.model[0], &message), expected, "{pattern:?} {key:?}");
        pair.assert_same(&message);
    }
}

#[test]
fn headers_examples() {
    let text = |text: &str| FieldValue::LongStr(text.as_bytes().into());
    let x_match = |mode| ("x-match", text(mode));
    let (one, void, internal) = (("a", FieldValue::I32(1)), ("b", FieldValue::Void), ("x-c", FieldValue::I32(1)));
    let headers = table(&[("a", FieldValue::I64(1)), ("x-c", FieldValue::U8(1))]);
    let examples = [
        (vec![], true),
        (vec![x_match("any")], false),
        (vec![x_match("any"), internal.clone()], false),
        (vec![x_match("any-with-x"), internal.clone()], true),
        (vec![one.clone()], true),
        (vec![one.clone(), void.clone()], false),
        (vec![x_match("any"), one.clone(), void.clone()], true),
        (vec![x_match("all"), one.clone(), ("x-c", text("other"))], true),
        (vec![x_match("all-with-x"), one.clone(), ("x-c", text("other"))], false),
        (vec![x_match("all-with-x"), one.clone(), internal], true),
        (vec![("a", FieldValue::Void)], true),
        (vec![("a", FieldValue::F64(1.0))], false),
        (vec![("a", text("1"))], false),
        (vec![("A", FieldValue::I32(1))], false),
    ];
    for (arguments, expected) in examples {
        let mut pair = Pair::new(ExchangeKind::Headers);
        pair.toggle(Binding { key: String::new(), arguments: table(&arguments), destination: 0 });
        let message = Message { key: "any".to_owned(), headers: headers.clone() };
        assert_eq!(matches(pair.kind, &pair.model[0], &message), expected, "{arguments:?}");
        pair.assert_same(&message);
    }
}
