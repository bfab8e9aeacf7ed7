//! Field tables: the typed key-value lists of arguments and headers (behaviour: RabbitMQ's tags, not the 0-9-1 text's).

mod raw;
mod tag;

use thiserror::Error;

use crate::limits::TABLE_DEPTH_MAX;
use crate::write::{put_longstr, put_shortstr, with_length};

pub use raw::{RawEntries, RawValue, TableRef};

/// One value of a field table or array. The comment names the tag on the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// `t`
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l`, and `L` on input
    I64(i64),
    /// `f`
    F32(f32),
    /// `d`
    F64(f64),
    /// `D`
    Decimal {
        /// Digits after the point.
        scale: u8,
        /// The digits as one number.
        value: u32,
    },
    /// `S`: bytes, not necessarily UTF-8
    LongStr(Box<[u8]>),
    /// `A`
    Array(Vec<FieldValue>),
    /// `F`
    Table(FieldTable),
    /// `T`: seconds, opaque
    Timestamp(u64),
    /// `x`
    ByteArray(Box<[u8]>),
    /// `V`
    Void,
}

/// An ordered list of keys and values. Duplicate keys survive; look-ups take the first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldTable(pub Vec<(Box<[u8]>, FieldValue)>);

/// Why bytes are not a field table.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum TableError {
    /// A key or value reaches beyond the end of its table.
    #[error("field table ends early")]
    Truncated,
    /// No type has this tag.
    #[error("unknown field type {0}")]
    UnknownTag(u8),
    /// More than [`TABLE_DEPTH_MAX`] levels.
    #[error("field table nested more than {TABLE_DEPTH_MAX} levels deep")]
    TooDeep,
    /// More than [`TABLE_ENTRIES_MAX`](crate::limits::TABLE_ENTRIES_MAX) values.
    #[error("field table with too many values")]
    TooManyEntries,
}

impl FieldTable {
    /// The first value under `key`.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&FieldValue> {
        self.0.iter().find(|(k, _)| &**k == key).map(|(_, v)| v)
    }

    /// Appends a key and its value.
    pub fn push(&mut self, key: impl Into<Box<[u8]>>, value: FieldValue) {
        self.0.push((key.into(), value));
    }

    /// Appends the contents, without the length that stands before them on the wire. Keys are cut at 255 bytes.
    ///
    /// Tables and arrays that lie deeper than [`TABLE_DEPTH_MAX`], which no decoded table does, are written empty.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_at(1, out);
    }

    /// Appends the length of the contents and the contents.
    pub fn write_with_len(&self, out: &mut Vec<u8>) {
        with_length(out, |out| self.encode(out));
    }

    fn encode_at(&self, depth: usize, out: &mut Vec<u8>) {
        if depth > TABLE_DEPTH_MAX {
            return;
        }
        for (key, value) in &self.0 {
            put_shortstr(out, key);
            value.encode_at(depth, out);
        }
    }
}

impl FieldValue {
    /// RabbitMQ's internal name of the type, which its error texts contain.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        tag::type_name(self.tag())
    }

    /// The tag on the wire.
    #[must_use]
    pub const fn tag(&self) -> u8 {
        match self {
            Self::Bool(_) => tag::BOOL,
            Self::I8(_) => tag::I8,
            Self::U8(_) => tag::U8,
            Self::I16(_) => tag::I16,
            Self::U16(_) => tag::U16,
            Self::I32(_) => tag::I32,
            Self::U32(_) => tag::U32,
            Self::I64(_) => tag::I64,
            Self::F32(_) => tag::F32,
            Self::F64(_) => tag::F64,
            Self::Decimal { .. } => tag::DECIMAL,
            Self::LongStr(_) => tag::LONG_STR,
            Self::Array(_) => tag::ARRAY,
            Self::Table(_) => tag::TABLE,
            Self::Timestamp(_) => tag::TIMESTAMP,
            Self::ByteArray(_) => tag::BYTE_ARRAY,
            Self::Void => tag::VOID,
        }
    }

    fn encode_at(&self, depth: usize, out: &mut Vec<u8>) {
        out.push(self.tag());
        match self {
            Self::Bool(value) => out.push(u8::from(*value)),
            Self::I8(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::U8(value) => out.push(*value),
            Self::I16(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::U16(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::I32(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::U32(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::I64(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::F32(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::F64(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::Decimal { scale, value } => {
                out.push(*scale);
                out.extend_from_slice(&value.to_be_bytes());
            }
            Self::LongStr(text) => put_longstr(out, text),
            Self::Array(values) => with_length(out, |out| encode_array(values, depth + 1, out)),
            Self::Table(table) => with_length(out, |out| table.encode_at(depth + 1, out)),
            Self::Timestamp(seconds) => out.extend_from_slice(&seconds.to_be_bytes()),
            Self::ByteArray(bytes) => put_longstr(out, bytes),
            Self::Void => {}
        }
    }
}

fn encode_array(values: &[FieldValue], depth: usize, out: &mut Vec<u8>) {
    if depth > TABLE_DEPTH_MAX {
        return;
    }
    for value in values {
        value.encode_at(depth, out);
    }
}
