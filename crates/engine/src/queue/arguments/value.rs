//! Values as RabbitMQ compares and prints them: without the width of their wire type.

use std::fmt::{self, Display, Formatter};

use leveret_codec::erlang::Binary;
use leveret_codec::table::{FieldTable, FieldValue};
use smallvec::SmallVec;

/// Bytes that stand for a value when values are compared; most need no allocation.
pub(crate) type Canonical = SmallVec<[u8; 64]>;

/// The number in a value of one of the integer types.
pub(crate) fn integer(value: &FieldValue) -> Option<i64> {
    Some(match *value {
        FieldValue::I8(value) => value.into(),
        FieldValue::U8(value) => value.into(),
        FieldValue::I16(value) => value.into(),
        FieldValue::U16(value) => value.into(),
        FieldValue::I32(value) => value.into(),
        FieldValue::U32(value) => value.into(),
        FieldValue::I64(value) => value,
        _ => return None,
    })
}

/// Appends bytes that are the same for two values exactly when the values are the same to RabbitMQ.
///
/// It compares values without their types: integers of all widths and timestamps are numbers, floats of both widths are
/// floats (and no number is a float), long strings and byte arrays are bytes. Inside arrays and tables types count.
pub(crate) fn write_value(value: &FieldValue, out: &mut Canonical) {
    let mut number = |value: i128| {
        out.push(b'I');
        out.extend_from_slice(&value.to_be_bytes());
    };
    if let Some(value) = integer(value) {
        return number(value.into());
    }
    match value {
        FieldValue::Timestamp(seconds) => number((*seconds).into()),
        FieldValue::F32(value) => write_float(f64::from(*value), out),
        FieldValue::F64(value) => write_float(*value, out),
        FieldValue::LongStr(bytes) | FieldValue::ByteArray(bytes) => write_bytes(bytes, out),
        other => {
            // With its type and those of all that is in it.
            let mut encoded = Vec::new();
            FieldTable(vec![(Box::default(), other.clone())]).encode(&mut encoded);
            out.push(b'E');
            out.extend_from_slice(&encoded);
        }
    }
}

/// As [`write_value`] of a long string.
pub(crate) fn write_bytes(bytes: &[u8], out: &mut Canonical) {
    out.push(b'S');
    out.extend_from_slice(bytes);
}

fn write_float(value: f64, out: &mut Canonical) {
    out.push(b'd');
    // The sum makes one zero of both.
    out.extend_from_slice(&(value + 0.0).to_be_bytes());
}

/// Whether RabbitMQ takes two values for the same.
pub(super) fn same(a: &FieldValue, b: &FieldValue) -> bool {
    let canonical = |value| {
        let mut out = Canonical::new();
        write_value(value, &mut out);
        out
    };
    canonical(a) == canonical(b)
}

/// Shows a value as Erlang's `~p` does.
pub(crate) struct Term<'a>(pub(crate) &'a FieldValue);

/// Shows a value as a term, but bytes as the text they are.
pub(super) struct Plain<'a>(pub(super) &'a FieldValue);

impl Display for Term<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(value) = integer(self.0) {
            return value.fmt(f);
        }
        match self.0 {
            FieldValue::Bool(value) => value.fmt(f),
            FieldValue::Timestamp(seconds) => seconds.fmt(f),
            FieldValue::F32(value) => float(f64::from(*value), f),
            FieldValue::F64(value) => float(*value, f),
            FieldValue::Decimal { scale, value } => write!(f, "{{{scale},{value}}}"),
            FieldValue::LongStr(bytes) | FieldValue::ByteArray(bytes) => Binary(bytes).fmt(f),
            FieldValue::Array(values) => {
                list(values, f, |value, f| write!(f, "{{{},{}}}", value.type_name(), Term(value)))
            }
            FieldValue::Table(table) => list(&table.0, f, |(name, value), f| {
                write!(f, "{{{},{},{}}}", Binary(name), value.type_name(), Term(value))
            }),
            _ => f.write_str("undefined"),
        }
    }
}

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            FieldValue::LongStr(bytes) | FieldValue::ByteArray(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            other => Term(other).fmt(f),
        }
    }
}

/// A float with a point, also before an exponent.
fn float(value: f64, f: &mut Formatter<'_>) -> fmt::Result {
    let text = format!("{value:?}");
    match text.split_once('e') {
        Some((digits, exponent)) if !digits.contains('.') => write!(f, "{digits}.0e{exponent}"),
        _ => f.write_str(&text),
    }
}

fn list<T>(items: &[T], f: &mut Formatter<'_>, item: impl Fn(&T, &mut Formatter<'_>) -> fmt::Result) -> fmt::Result {
    f.write_str("[")?;
    for (place, value) in items.iter().enumerate() {
        if place > 0 {
            f.write_str(",")?;
        }
        item(value, f)?;
    }
    f.write_str("]")
}
