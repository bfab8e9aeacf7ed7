//! Field tables: the typed key-value lists of arguments and headers (behaviour: RabbitMQ's tags, not the 0-9-1 text's).

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
}
