//! Field tables and properties: every tag, both ways, and everything that must be refused.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail by a panic")]

use leveret_codec::limits::{TABLE_DEPTH_MAX, TABLE_ENTRIES_MAX};
use leveret_codec::properties::{Properties, PropertiesRef};
use leveret_codec::table::{FieldTable, FieldValue, TableError, TableRef};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn table_of(value: FieldValue) -> FieldTable {
    FieldTable(vec![((*b"k").into(), value)])
}

fn encoded(table: &FieldTable) -> Vec<u8> {
    let mut out = Vec::new();
    table.encode(&mut out);
    out
}

fn decoded(value_bytes: &[u8]) -> Result<FieldValue, TableError> {
    let bytes = [b"\x01k", value_bytes].concat();
    let table = TableRef::from_raw(&bytes);
    assert_eq!(table.check(), table.decode().map(drop), "check and decode disagree");
    Ok(table.decode()?.0.remove(0).1)
}

/// Each tag with its value, its bytes, and RabbitMQ's name for the type.
fn every_tag() -> Vec<(FieldValue, &'static [u8], &'static str)> {
    let array = vec![FieldValue::I32(-2), FieldValue::Void];
    vec![
        (FieldValue::Bool(true), b"t\x01", "bool"),
        (FieldValue::Bool(false), b"t\x00", "bool"),
        (FieldValue::I8(-1), b"b\xff", "byte"),
        (FieldValue::U8(255), b"B\xff", "unsignedbyte"),
        (FieldValue::I16(-2), b"s\xff\xfe", "short"),
        (FieldValue::U16(65534), b"u\xff\xfe", "unsignedshort"),
        (FieldValue::I32(-2), b"I\xff\xff\xff\xfe", "signedint"),
        (FieldValue::U32(4_294_967_294), b"i\xff\xff\xff\xfe", "unsignedint"),
        (FieldValue::I64(-2), b"l\xff\xff\xff\xff\xff\xff\xff\xfe", "long"),
        (FieldValue::F32(1.5), b"f\x3f\xc0\x00\x00", "float"),
        (FieldValue::F64(-2.0), b"d\xc0\x00\x00\x00\x00\x00\x00\x00", "double"),
        (FieldValue::Decimal { scale: 2, value: 314 }, b"D\x02\x00\x00\x01\x3a", "decimal"),
        (FieldValue::LongStr((*b"\xffhi").into()), b"S\x00\x00\x00\x03\xffhi", "longstr"),
        (FieldValue::Array(array), b"A\x00\x00\x00\x06I\xff\xff\xff\xfeV", "array"),
        (FieldValue::Array(Vec::new()), b"A\x00\x00\x00\x00", "array"),
        (FieldValue::Table(table_of(FieldValue::Bool(true))), b"F\x00\x00\x00\x04\x01kt\x01", "table"),
        (FieldValue::Timestamp(u64::MAX), b"T\xff\xff\xff\xff\xff\xff\xff\xff", "timestamp"),
        (FieldValue::ByteArray((*b"\x00\x01").into()), b"x\x00\x00\x00\x02\x00\x01", "binary"),
        (FieldValue::Void, b"V", "void"),
    ]
}

#[test]
fn every_tag_there_and_back() {
    for (value, bytes, type_name) in every_tag() {
        assert_eq!(decoded(bytes).as_ref(), Ok(&value));
        assert_eq!(value.type_name(), type_name);
        assert_eq!(value.tag(), bytes[0]);
        assert_eq!(encoded(&table_of(value)), [b"\x01k", bytes].concat());
    }
}

#[test]
fn every_cut_is_truncated() {
    for (_, bytes, type_name) in every_tag() {
        for end in 0..bytes.len() {
            assert_eq!(decoded(&bytes[..end]), Err(TableError::Truncated), "{type_name} at {end}");
        }
    }
}

#[test]
fn every_other_tag_is_unknown() {
    for tag in 0..=u8::MAX {
        let is_known = b"tbBsuIilLfdDSAFTxV".contains(&tag);
        let result = decoded(&[&[tag][..], &[0; 8]].concat()).map(drop);
        assert_eq!(result == Err(TableError::UnknownTag(tag)), !is_known, "{}", tag.escape_ascii());
    }
}

#[test]
fn a_long_under_its_other_tag_is_the_same_value() {
    assert_eq!(decoded(b"L\xff\xff\xff\xff\xff\xff\xff\xfe"), Ok(FieldValue::I64(-2)));
}

#[test]
fn any_octet_but_zero_is_true() {
    assert_eq!(decoded(b"t\x02"), Ok(FieldValue::Bool(true)));
}

#[test]
fn a_length_beyond_the_table_is_refused() {
    for bytes in [&b"S\xff\xff\xff\xff"[..], b"A\x00\x00\x00\x01", b"F\x00\x00\x00\x02\x00", b"x\x00\x00\x00\x05four"] {
        assert_eq!(decoded(bytes), Err(TableError::Truncated));
    }
    assert_eq!(TableRef::from_raw(b"\x05key").decode(), Err(TableError::Truncated));
    assert_eq!(decoded(b"A\x00\x00\x00\x02t\x01V\x01"), Err(TableError::Truncated), "bytes after the array");
}

#[test]
fn duplicate_and_empty_keys_survive() {
    let bytes = b"\x01at\x01\x00V\x01at\x00";
    let table = TableRef::from_raw(bytes).decode().unwrap();
    assert_eq!(table.0.len(), 3);
    assert_eq!(table.get(b"a"), Some(&FieldValue::Bool(true)));
    assert_eq!(table.get(b""), Some(&FieldValue::Void));
    assert_eq!(table.get(b"b"), None);
    assert_eq!(encoded(&table), bytes);
}

#[test]
fn a_key_is_found_without_decoding_the_others() {
    let bytes = b"\x01aA\x00\x00\x00\x02??\x01bS\x00\x00\x00\x02hi\x01cF\x00\x00\x00\x00\x01a\x00";
    let table = TableRef::from_raw(bytes);
    assert_eq!(table.get_raw(b"b").unwrap().as_long_str(), Some(&b"hi"[..]));
    assert_eq!(table.get_raw(b"b").unwrap().as_table(), None);
    assert_eq!(table.get_raw(b"c").unwrap().as_table(), Some(TableRef::EMPTY));
    assert_eq!(table.get_raw(b"a").unwrap().type_name(), "array");
    assert_eq!(table.get_raw(b"a").unwrap().decode(), Err(TableError::UnknownTag(b'?')));
    assert_eq!(table.get_raw(b"d"), None);
    let entries: Vec<_> = table.iter().map(|entry| entry.map(|(key, value)| (key, value.tag()))).collect();
    let error = Err(TableError::UnknownTag(0));
    assert_eq!(entries, [Ok((&b"a"[..], b'A')), Ok((b"b", b'S')), Ok((b"c", b'F')), error]);
}

#[test]
fn depth_is_bounded() {
    for (tag, key) in [(b'F', &b"\x01k"[..]), (b'A', b"")] {
        let nested = |levels: usize| {
            let mut bytes = Vec::new();
            for level in 0..levels {
                let key = if level + 1 == levels { &b"\x01k"[..] } else { key };
                let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
                bytes = [key, &[tag], &length, &bytes].concat();
            }
            bytes
        };
        let deepest = nested(TABLE_DEPTH_MAX - 1);
        let table = TableRef::from_raw(&deepest).decode().unwrap();
        assert_eq!(TableRef::from_raw(&deepest).check(), Ok(()));
        assert_eq!(encoded(&table), deepest);
        for levels in [TABLE_DEPTH_MAX, 20_000] {
            let too_deep = nested(levels);
            assert_eq!(TableRef::from_raw(&too_deep).decode(), Err(TableError::TooDeep));
            assert_eq!(TableRef::from_raw(&too_deep).check(), Err(TableError::TooDeep));
        }
    }
}

#[test]
fn encoding_stops_at_the_depth_that_decodes() {
    let mut table = FieldTable::default();
    for _ in 0..TABLE_DEPTH_MAX + 50 {
        table = table_of(FieldValue::Table(table));
    }
    let bytes = encoded(&table);
    assert_eq!(bytes.len(), TABLE_DEPTH_MAX * b"\x01kF\x00\x00\x00\x00".len());
}

#[test]
fn the_number_of_values_is_bounded_over_all_levels() {
    let array_of_voids = |count: usize| {
        let length = u32::try_from(count).unwrap().to_be_bytes();
        [&b"\x01kA"[..], &length, &vec![b'V'; count]].concat()
    };
    let most = array_of_voids(TABLE_ENTRIES_MAX - 1);
    assert_eq!(TableRef::from_raw(&most).check(), Ok(()));
    assert!(TableRef::from_raw(&most).decode().is_ok());
    let half = array_of_voids(TABLE_ENTRIES_MAX / 2);
    for bytes in [array_of_voids(TABLE_ENTRIES_MAX), [&half[..], &half].concat()] {
        assert_eq!(TableRef::from_raw(&bytes).check(), Err(TableError::TooManyEntries));
        assert_eq!(TableRef::from_raw(&bytes).decode(), Err(TableError::TooManyEntries));
    }
}

#[test]
fn the_length_of_a_table_counts_its_contents() {
    let mut out = b"before".to_vec();
    table_of(FieldValue::Bool(true)).write_with_len(&mut out);
    assert_eq!(out, b"before\x00\x00\x00\x04\x01kt\x01");
}

fn values() -> impl Strategy<Value = FieldValue> {
    let bytes = || vec(any::<u8>(), 0..30).prop_map(Vec::into_boxed_slice);
    let leaf = prop_oneof![
        any::<bool>().prop_map(FieldValue::Bool),
        any::<i8>().prop_map(FieldValue::I8),
        any::<u8>().prop_map(FieldValue::U8),
        any::<i16>().prop_map(FieldValue::I16),
        any::<u16>().prop_map(FieldValue::U16),
        any::<i32>().prop_map(FieldValue::I32),
        any::<u32>().prop_map(FieldValue::U32),
        any::<i64>().prop_map(FieldValue::I64),
        any::<f32>().prop_map(FieldValue::F32),
        any::<f64>().prop_map(FieldValue::F64),
        (any::<u8>(), any::<u32>()).prop_map(|(scale, value)| FieldValue::Decimal { scale, value }),
        bytes().prop_map(FieldValue::LongStr),
        any::<u64>().prop_map(FieldValue::Timestamp),
        bytes().prop_map(FieldValue::ByteArray),
        Just(FieldValue::Void),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![vec(inner.clone(), 0..6).prop_map(FieldValue::Array), entries(inner).prop_map(FieldValue::Table),]
    })
}

fn entries(values: impl Strategy<Value = FieldValue>) -> impl Strategy<Value = FieldTable> {
    let key = vec(any::<u8>(), 0..=255).prop_map(Vec::into_boxed_slice);
    vec((key, values), 0..6).prop_map(FieldTable)
}

fn properties() -> impl Strategy<Value = Properties> {
    let text = || option::of(vec(any::<u8>(), 0..=255).prop_map(Vec::into_boxed_slice));
    let first = (text(), text(), option::of(entries(values())), option::of(any::<u8>()), option::of(any::<u8>()));
    let middle = (text(), text(), text(), text(), option::of(any::<u64>()));
    let last = (text(), text(), text(), text());
    (first, middle, last).prop_map(|(first, middle, last)| Properties {
        content_type: first.0,
        content_encoding: first.1,
        headers: first.2,
        delivery_mode: first.3,
        priority: first.4,
        correlation_id: middle.0,
        reply_to: middle.1,
        expiration: middle.2,
        message_id: middle.3,
        timestamp: middle.4,
        type_: last.0,
        user_id: last.1,
        app_id: last.2,
        cluster_id: last.3,
    })
}

proptest! {
    #[test]
    fn tables_there_and_back(table in entries(values())) {
        let bytes = encoded(&table);
        let again = TableRef::from_raw(&bytes);
        prop_assert_eq!(again.check(), Ok(()));
        prop_assert_eq!(again.iter().count(), table.0.len());
        // By their bytes, because a NaN does not equal itself.
        prop_assert_eq!(&encoded(&again.decode().unwrap()), &bytes);
        prop_assert_eq!(format!("{:?}", again.decode().unwrap()), format!("{table:?}"));
    }

    #[test]
    fn properties_there_and_back(properties in properties()) {
        let mut bytes = Vec::new();
        properties.encode(&mut bytes);
        let again = PropertiesRef::parse(&bytes).unwrap();
        prop_assert_eq!(again.flags(), properties.flags());
        prop_assert_eq!(PropertiesRef::from_checked(again.as_bytes()), again);
        prop_assert_eq!(format!("{:?}", again.to_owned().unwrap()), format!("{properties:?}"));
    }

    #[test]
    fn no_table_panics(bytes in vec(any::<u8>(), 0..200)) {
        let table = TableRef::from_raw(&bytes);
        prop_assert_eq!(table.check().is_ok(), table.decode().is_ok());
        prop_assert!(table.get_raw(b"no such key").is_none());
    }

    /// Arbitrary bytes seldom look like tables, so this spoils some that are.
    #[test]
    fn no_spoilt_table_panics(table in entries(values()), place in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut bytes = encoded(&table);
        if !bytes.is_empty() {
            let place = place.index(bytes.len());
            bytes[place] = with;
        }
        let table = TableRef::from_raw(&bytes);
        prop_assert_eq!(table.check(), table.decode().map(drop));
    }

    #[test]
    fn no_properties_panic(bytes in vec(any::<u8>(), 0..100)) {
        for properties in [PropertiesRef::parse(&bytes).unwrap_or_default(), PropertiesRef::from_checked(&bytes)] {
            let _ = properties.to_owned();
        }
    }
}
