//! Field tables: decoded, checked, searched and edited.
#![no_main]

use leveret_codec::properties::{PropertiesEdit, PropertiesRef};
use leveret_codec::table::TableRef;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let table = TableRef::from_raw(bytes);
    let decoded = table.decode();
    assert_eq!(table.check().err(), decoded.as_ref().err().copied());
    let _ = table.get_raw(b"x-match").map(|value| value.decode());
    if let Ok(decoded) = decoded {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        decoded.encode(&mut first);
        TableRef::from_raw(&first).decode().unwrap().encode(&mut second);
        assert_eq!(first, second);
    }
    edit(bytes);
});

/// The first octet says where the properties end and the headers begin that are set.
fn edit(bytes: &[u8]) {
    let Some((&at, rest)) = bytes.split_first() else { return };
    let (properties, set) = rest.split_at(usize::from(at).min(rest.len()));
    let (Ok(properties), set) = (PropertiesRef::parse(properties), TableRef::from_raw(set)) else { return };
    if set.check().is_err() || properties.headers().is_some_and(|headers| headers.check().is_err()) {
        return;
    }
    let mut out = Vec::new();
    properties.write_edited(&PropertiesEdit { set, remove: &[b"CC", b"x-death"], without: 0xff00 }, &mut out);
    let edited = PropertiesRef::parse(&out).expect("sound properties stay sound");
    assert!(edited.headers().is_none_or(|headers| headers.get_raw(b"CC").is_none() || set.get_raw(b"CC").is_some()));
}
