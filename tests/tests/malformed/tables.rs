//! Field tables: every tag cut short, unknown tags, lengths that lie, and nesting without end.

use leveret_tests::raw::ids::{self};
use leveret_tests::raw::wire::{FRAME_HEADER, frame, put_longstr};
use leveret_tests::raw::{Method, Stage, Value, methods, none, table};

use crate::Case;
use crate::outcome::Outcome;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, contents) in undecodable_contents() {
        // The process that reads such a table in RabbitMQ crashes: the reader for methods, so that nothing is said.
        let in_method = Outcome::CloseWith(&[501, 502]).but_on_peer(Outcome::Ended);
        cases.push(Case::new(format!("arguments: {name}"), Stage::Channel, declare(&contents), in_method));
        let in_header = Outcome::CloseWith(&[501, 502, 541]);
        cases.push(Case::new(format!("headers: {name}"), Stage::Channel, publish(&contents), in_header));
    }
    for (name, contents) in hostile_contents() {
        let outcome = || Outcome::AcceptedOrClose;
        cases.push(Case::new(format!("arguments: {name}"), Stage::Channel, declare(&contents), outcome()));
        cases.push(Case::new(format!("headers: {name}"), Stage::Channel, publish(&contents), outcome()));
    }
    for (name, contents) in odd_contents() {
        cases.push(Case::new(format!("arguments: {name}"), Stage::Channel, declare(&contents), Outcome::Accepted));
        cases.push(Case::new(format!("headers: {name}"), Stage::Channel, publish(&contents), Outcome::Accepted));
    }
    // Erlang has no such number: RabbitMQ's reader crashes.
    let nan = table([("n", Value::F64(f64::NAN))]).contents();
    let outcome = Outcome::AcceptedOrClose.but_on_peer(Outcome::Ended);
    cases.push(Case::new("arguments: not a number", Stage::Channel, declare(&nan), outcome));
    cases
}

/// queue.declare of an exclusive server-named queue, so that nothing is left if it is accepted.
fn declare(contents: &[u8]) -> Vec<u8> {
    const EXCLUSIVE: u8 = 0b100;
    Method::new(ids::QUEUE_DECLARE).short(0).shortstr("").octet(EXCLUSIVE).longstr(contents).frames(1, 0)
}

fn publish(contents: &[u8]) -> Vec<u8> {
    const HEADERS_FLAG: [u8; 2] = [0x20, 0];
    let mut payload = [&[0, 60, 0, 0][..], &[0; 8], &HEADERS_FLAG].concat();
    put_longstr(&mut payload, contents);
    let mut bytes = methods::publish_alone("amq.headers", "", &[]).frames(1, 0);
    bytes.extend(frame(FRAME_HEADER, 1, &payload));
    bytes
}

/// Contents that cannot be read.
fn undecodable_contents() -> Vec<(String, Vec<u8>)> {
    let values = [
        Value::Bool(true),
        Value::I8(1),
        Value::U8(1),
        Value::I16(1),
        Value::U16(1),
        Value::I32(1),
        Value::U32(1),
        Value::I64(1),
        Value::F32(1.0),
        Value::F64(1.0),
        Value::Decimal(1, 1),
        Value::from("text"),
        Value::Bytes(vec![1]),
        Value::from(["text"]),
        Value::Table(table([("k", Value::Bool(true))])),
        Value::Time(1),
    ];
    let mut contents = Vec::new();
    for value in values {
        let tag = char::from(value.tag());
        let mut cut = table([("k", value)]).contents();
        cut.pop();
        contents.push((format!("value of tag {tag} cut"), cut));
        contents.push((format!("tag {tag} alone"), vec![1, b'k', value_tag(tag)]));
    }
    for tag in [0, b'U', b'Z', b'c', b'e', b'v', 255] {
        contents.push((format!("unknown tag {tag}"), vec![1, b'k', tag, 0, 0, 0, 0]));
    }
    contents.push(("key longer than the table".to_owned(), vec![9, b'k', b'V']));
    contents.push(("key alone".to_owned(), vec![1, b'k']));
    contents.push(("length of a key alone".to_owned(), vec![1]));
    contents.push(("string of 4 GiB".to_owned(), vec![1, b'k', b'S', 255, 255, 255, 255]));
    contents.push(("array of 4 GiB".to_owned(), vec![1, b'k', b'A', 255, 255, 255, 255]));
    contents.push(("table of 4 GiB".to_owned(), vec![1, b'k', b'F', 255, 255, 255, 255]));
    contents.push(("octets of 4 GiB".to_owned(), vec![1, b'k', b'x', 255, 255, 255, 255]));
    contents.push(("inner table longer than the outer".to_owned(), vec![1, b'k', b'F', 0, 0, 0, 5, 1, b'i', b'V']));
    contents.push(("unknown tag in an array".to_owned(), vec![1, b'k', b'A', 0, 0, 0, 2, b'V', b'?']));
    contents
}

fn value_tag(tag: char) -> u8 {
    u8::try_from(tag).expect("tags are ASCII")
}

/// Contents that are well formed and meant to cost much.
pub fn hostile_contents() -> Vec<(String, Vec<u8>)> {
    const FRAME_ROOM: usize = 130_000;
    let array_of = |element: &[u8], count: usize| {
        let mut contents = vec![1, b'k', b'A'];
        put_longstr(&mut contents, &element.repeat(count));
        contents
    };
    vec![
        ("580 nested tables".to_owned(), nested_contents(b'F', 580)),
        ("600 nested arrays".to_owned(), nested_contents(b'A', 600)),
        ("10000 nested tables".to_owned(), nested_contents(b'F', 10_000)),
        ("10000 nested arrays".to_owned(), nested_contents(b'A', 10_000)),
        ("3000 voids".to_owned(), array_of(b"V", 3_000)),
        ("100000 voids".to_owned(), array_of(b"V", 100_000)),
        ("empty tables".to_owned(), array_of(b"F\0\0\0\0", FRAME_ROOM / 5)),
        ("empty arrays".to_owned(), array_of(b"A\0\0\0\0", FRAME_ROOM / 5)),
        ("void under empty keys".to_owned(), b"\0V".repeat(FRAME_ROOM / 2)),
        ("the same key again and again".to_owned(), b"\x01kV".repeat(FRAME_ROOM / 3)),
    ]
}

/// Contents that are unusual and right.
fn odd_contents() -> Vec<(String, Vec<u8>)> {
    let not_text = Value::Bytes(vec![0xFF, 0xFE]);
    vec![
        ("empty key".to_owned(), table([("", Value::Void)]).contents()),
        ("twice the same key".to_owned(), table([("k", 1.into()), ("k", 2.into())]).contents()),
        ("empty table and array".to_owned(), table([("t", none().into()), ("a", Value::Array(vec![]))]).contents()),
        (
            "array of mixed types".to_owned(),
            table([("a", Value::Array(vec![1.into(), "x".into(), not_text]))]).contents(),
        ),
        ("string that is no text".to_owned(), table([("s", Value::Str(vec![0xC3, 0x28]))]).contents()),
        ("bool of 7".to_owned(), vec![1, b'k', b't', 7]),
        ("L as a long".to_owned(), vec![1, b'k', b'L', 0, 0, 0, 0, 0, 0, 0, 1]),
    ]
}

/// So many tables (or arrays) inside each other.
pub fn nested_contents(tag: u8, depth: usize) -> Vec<u8> {
    let mut contents = Vec::new();
    for level in 0..depth {
        let is_outermost = level + 1 == depth;
        // Entries of a table have a key, elements of an array do not.
        let mut outer = if tag == b'F' || is_outermost { vec![1, b'k', tag] } else { vec![tag] };
        put_longstr(&mut outer, &contents);
        contents = outer;
    }
    contents
}
