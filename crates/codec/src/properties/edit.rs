//! Properties with other headers: what a broker changes on a message's way, without decoding what stays.

use super::{PropertiesRef, Property, field, flags_in_order};
use crate::read::short;
use crate::table::TableRef;
use crate::write::{put_short, with_length};

/// Changes to properties.
#[derive(Clone, Copy, Debug, Default)]
pub struct PropertiesEdit<'e> {
    /// Headers that come after the others, in place of all of the same names.
    pub set: TableRef<'e>,
    /// Headers that are taken out. A table of headers that is empty then goes as well.
    pub remove: &'e [&'e [u8]],
    /// Properties that are taken out: the sum of their [`Property::flag`]s.
    pub without: u16,
}

impl PropertiesRef<'_> {
    /// Appends flags and fields to `out` as they are on the wire, changed by `edit`. Of bytes that are not sound properties
    /// what comes before the fault is kept.
    pub fn write_edited(self, edit: &PropertiesEdit<'_>, out: &mut Vec<u8>) {
        let headers = self.headers().unwrap_or_default();
        let is_gone =
            |key: &[u8]| edit.remove.contains(&key) || (!edit.set.is_empty() && edit.set.get_raw(key).is_some());
        let stays = headers.iter().map_while(Result::ok).any(|(key, _)| !is_gone(key));
        let mut flags = self.flags() & !edit.without & !Property::Headers.flag();
        if stays || !edit.set.is_empty() {
            flags |= Property::Headers.flag();
        }
        put_short(out, flags);
        let write_headers = |out: &mut Vec<u8>| {
            with_length(out, |out| {
                headers.write_without(is_gone, out);
                out.extend_from_slice(edit.set.as_bytes());
            });
        };
        let Ok((mut rest, own_flags)) = short(self.as_bytes()) else { return };
        // The headers may have to come where there were none: the flags of both are gone through.
        for flag in flags_in_order(own_flags | flags) {
            let mut old = &[][..];
            if own_flags & flag != 0 {
                let Ok((after, _)) = field(flag, rest) else { return };
                old = rest.get(..rest.len() - after.len()).unwrap_or_default();
                rest = after;
            }
            if flag == Property::Headers.flag() {
                if flags & flag != 0 {
                    write_headers(out);
                }
            } else if flags & flag != 0 {
                out.extend_from_slice(old);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::Properties;
    use crate::table::{FieldTable, FieldValue};

    fn edited(properties: &Properties, set: &FieldTable, remove: &[&[u8]], without: u16) -> Properties {
        let (mut raw, mut raw_set, mut out) = (Vec::new(), Vec::new(), Vec::new());
        properties.encode(&mut raw);
        set.encode(&mut raw_set);
        let edit = PropertiesEdit { set: TableRef::from_raw(&raw_set), remove, without };
        PropertiesRef::parse(&raw).unwrap().write_edited(&edit, &mut out);
        PropertiesRef::parse(&out).unwrap().to_owned().unwrap()
    }

    fn table(entries: &[(&str, i32)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (key, value) in entries {
            table.push(key.as_bytes(), FieldValue::I32(*value));
        }
        table
    }

    #[test]
    fn headers_come_where_there_were_none_and_replace_their_namesakes() {
        let plain =
            Properties { content_type: Some(b"text/plain"[..].into()), priority: Some(3), ..Properties::default() };
        let set = table(&[("x", 1)]);
        let with = edited(&plain, &set, &[], 0);
        assert_eq!(with, Properties { headers: Some(set.clone()), ..plain.clone() });
        let before = Properties { headers: Some(table(&[("a", 1), ("x", 7), ("b", 2), ("x", 8)])), ..plain };
        let after = edited(&before, &set, &[b"b"], 0);
        assert_eq!(after.headers, Some(table(&[("a", 1), ("x", 1)])));
        assert_eq!(edited(&before, &FieldTable::default(), &[], 0), before);
    }

    #[test]
    fn what_is_taken_out_leaves_the_rest() {
        let before = Properties {
            headers: Some(table(&[("CC", 1)])),
            delivery_mode: Some(2),
            expiration: Some(b"500"[..].into()),
            message_id: Some(b"m"[..].into()),
            ..Properties::default()
        };
        let after = edited(&before, &FieldTable::default(), &[b"CC"], Property::Expiration.flag());
        assert_eq!(after, Properties { headers: None, expiration: None, ..before });
        assert_eq!(edited(&Properties::default(), &FieldTable::default(), &[b"q"], 0), Properties::default());
    }
}
