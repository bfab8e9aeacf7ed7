//! Selectors of JMS topic exchanges, and headers that they are tried on.
#![no_main]

use leveret_codec::properties::Properties;
use leveret_codec::properties::PropertiesRef;
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::exchange::table::{ExchangeKind, Subject, Table, validate_arguments};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut arguments = FieldTable::default();
    arguments.push(&b"rjms_erlang_selector"[..], FieldValue::LongStr(bytes.into()));
    let _ = validate_arguments(ExchangeKind::JmsTopic, &arguments);
    let mut table = Table::new(ExchangeKind::JmsTopic, &FieldTable::default());
    table.bind(b"", &arguments, ());
    let properties = headers();
    let properties = PropertiesRef::from_checked(&properties);
    table.visit(&Subject { keys: &[b""], properties, random: &|| 0 }, &mut |()| {});
    table.unbind(b"", &arguments, &());
    assert!(table.is_empty());
});

fn headers() -> Vec<u8> {
    let mut headers = FieldTable::default();
    headers.push(&b"a"[..], FieldValue::I32(7));
    headers.push(&b"b"[..], FieldValue::LongStr(b"some text"[..].into()));
    headers.push(&b"c"[..], FieldValue::Bool(true));
    headers.push(&b"d"[..], FieldValue::F64(f64::NAN));
    headers.push(&b"e"[..], FieldValue::I64(i64::MIN));
    let mut out = Vec::new();
    Properties { headers: Some(headers), ..Properties::default() }.encode(&mut out);
    out
}
