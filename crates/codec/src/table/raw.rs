//! Field tables as they are on the wire, decoded as far as somebody asks.

use super::tag::{self, Extent};
use super::{FieldTable, FieldValue, TableError};
use crate::limits::{TABLE_DEPTH_MAX, TABLE_ENTRIES_MAX};
use crate::read::{Fault, bytes, longstr, octet, shortstr};

/// The contents of a table, without their length, undecoded.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct TableRef<'a>(&'a [u8]);

/// A value of which only the tag and the extent are known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RawValue<'a> {
    tag: u8,
    contents: &'a [u8],
}

/// The keys and values of a table in their order. Ends after the first error.
#[derive(Clone, Debug)]
pub struct RawEntries<'a>(&'a [u8]);

impl<'a> TableRef<'a> {
    /// A table without entries.
    pub const EMPTY: TableRef<'static> = TableRef(&[]);

    /// Takes the contents of a table, without their length. Nothing is checked.
    #[inline]
    #[must_use]
    pub const fn from_raw(contents: &'a [u8]) -> Self {
        Self(contents)
    }

    /// The contents, without their length.
    #[inline]
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there are no entries.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The entries one by one; a value is skipped over, not decoded.
    #[must_use]
    pub const fn iter(self) -> RawEntries<'a> {
        RawEntries(self.0)
    }

    /// The first value under `key`. `None` also when the bytes before it make no sense, which [`TableRef::check`] tells.
    #[must_use]
    pub fn get_raw(self, key: &[u8]) -> Option<RawValue<'a>> {
        self.iter().map_while(Result::ok).find(|(found, _)| *found == key).map(|(_, value)| value)
    }

    /// Appends the entries, without the table's length, but for those of which `is_gone` says that they go.
    pub fn write_without(self, is_gone: impl Fn(&[u8]) -> bool, out: &mut Vec<u8>) {
        let mut entries = self.iter();
        let mut before = entries.0;
        while let Some(Ok((key, _))) = entries.next() {
            let entry = before.get(..before.len() - entries.0.len()).unwrap_or_default();
            if !is_gone(key) {
                out.extend_from_slice(entry);
            }
            before = entries.0;
        }
    }

    /// Whether [`TableRef::decode`] would succeed; allocates nothing.
    ///
    /// # Errors
    /// [`TableError`] as [`TableRef::decode`] gives it.
    pub fn check(self) -> Result<(), TableError> {
        Budget::new().check_table(self, 1)
    }

    /// Decodes the whole table.
    ///
    /// # Errors
    /// [`TableError`] when the bytes are not exactly a table within the limits of depth and number.
    pub fn decode(self) -> Result<FieldTable, TableError> {
        Budget::new().decode_table(self, 1)
    }
}

impl<'a> IntoIterator for TableRef<'a> {
    type Item = Result<(&'a [u8], RawValue<'a>), TableError>;
    type IntoIter = RawEntries<'a>;

    fn into_iter(self) -> RawEntries<'a> {
        self.iter()
    }
}

impl<'a> Iterator for RawEntries<'a> {
    type Item = Result<(&'a [u8], RawValue<'a>), TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = split_entry(self.0);
        let (rest, item) = match entry {
            Ok((rest, entry)) => (rest, Ok(entry)),
            Err(error) => (&[][..], Err(error)),
        };
        self.0 = rest;
        Some(item)
    }
}

impl<'a> RawValue<'a> {
    /// The tag on the wire.
    #[must_use]
    pub const fn tag(self) -> u8 {
        self.tag
    }

    /// RabbitMQ's internal name of the type.
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        tag::type_name(self.tag)
    }

    /// The bytes after the tag and, where there is one, the length.
    #[must_use]
    pub const fn contents(self) -> &'a [u8] {
        self.contents
    }

    /// The bytes of a long string; `None` for another type.
    #[must_use]
    pub fn as_long_str(self) -> Option<&'a [u8]> {
        (self.tag == tag::LONG_STR).then_some(self.contents)
    }

    /// The table in a value of that type; `None` for another.
    #[must_use]
    pub fn as_table(self) -> Option<TableRef<'a>> {
        (self.tag == tag::TABLE).then_some(TableRef(self.contents))
    }

    /// Decodes the value.
    ///
    /// # Errors
    /// [`TableError`] when a table or array does not decode.
    pub fn decode(self) -> Result<FieldValue, TableError> {
        Budget::new().decode_value(self, 1)
    }
}

/// How many values may still come. Shared by all levels of one table.
struct Budget {
    entries_left: usize,
}

impl Budget {
    const fn new() -> Self {
        Self { entries_left: TABLE_ENTRIES_MAX }
    }

    /// `depth` counts the table itself, so that the recursion ends at [`TABLE_DEPTH_MAX`].
    fn decode_table(&mut self, table: TableRef<'_>, depth: usize) -> Result<FieldTable, TableError> {
        allow_depth(depth)?;
        let mut entries = Vec::new();
        for entry in table {
            let (key, value) = entry?;
            self.spend()?;
            entries.push((key.into(), self.decode_value(value, depth)?));
        }
        Ok(FieldTable(entries))
    }

    fn decode_array(&mut self, mut rest: &[u8], depth: usize) -> Result<Vec<FieldValue>, TableError> {
        allow_depth(depth)?;
        let mut values = Vec::new();
        while !rest.is_empty() {
            let value;
            (rest, value) = split_value(rest)?;
            self.spend()?;
            values.push(self.decode_value(value, depth)?);
        }
        Ok(values)
    }

    /// `depth` is that of the table or array around the value.
    fn decode_value(&mut self, value: RawValue<'_>, depth: usize) -> Result<FieldValue, TableError> {
        let RawValue { tag, contents } = value;
        Ok(match tag {
            tag::BOOL => FieldValue::Bool(fixed::<1>(contents)? != [0]),
            tag::I8 => FieldValue::I8(i8::from_be_bytes(fixed(contents)?)),
            tag::U8 => FieldValue::U8(u8::from_be_bytes(fixed(contents)?)),
            tag::I16 => FieldValue::I16(i16::from_be_bytes(fixed(contents)?)),
            tag::U16 => FieldValue::U16(u16::from_be_bytes(fixed(contents)?)),
            tag::I32 => FieldValue::I32(i32::from_be_bytes(fixed(contents)?)),
            tag::U32 => FieldValue::U32(u32::from_be_bytes(fixed(contents)?)),
            tag::I64 | tag::I64_INPUT => FieldValue::I64(i64::from_be_bytes(fixed(contents)?)),
            tag::F32 => FieldValue::F32(f32::from_be_bytes(fixed(contents)?)),
            tag::F64 => FieldValue::F64(f64::from_be_bytes(fixed(contents)?)),
            tag::DECIMAL => {
                let [scale, value @ ..] = fixed::<5>(contents)?;
                FieldValue::Decimal { scale, value: u32::from_be_bytes(value) }
            }
            tag::LONG_STR => FieldValue::LongStr(contents.into()),
            tag::ARRAY => FieldValue::Array(self.decode_array(contents, depth + 1)?),
            tag::TABLE => FieldValue::Table(self.decode_table(TableRef(contents), depth + 1)?),
            tag::TIMESTAMP => FieldValue::Timestamp(u64::from_be_bytes(fixed(contents)?)),
            tag::BYTE_ARRAY => FieldValue::ByteArray(contents.into()),
            tag::VOID => FieldValue::Void,
            unknown => return Err(TableError::UnknownTag(unknown)),
        })
    }

    fn check_table(&mut self, table: TableRef<'_>, depth: usize) -> Result<(), TableError> {
        allow_depth(depth)?;
        for entry in table {
            let (_, value) = entry?;
            self.check_value(value, depth)?;
        }
        Ok(())
    }

    fn check_array(&mut self, mut rest: &[u8], depth: usize) -> Result<(), TableError> {
        allow_depth(depth)?;
        while !rest.is_empty() {
            let value;
            (rest, value) = split_value(rest)?;
            self.check_value(value, depth)?;
        }
        Ok(())
    }

    fn check_value(&mut self, value: RawValue<'_>, depth: usize) -> Result<(), TableError> {
        self.spend()?;
        match value.tag {
            tag::ARRAY => self.check_array(value.contents, depth + 1),
            tag::TABLE => self.check_table(TableRef(value.contents), depth + 1),
            _ => Ok(()),
        }
    }

    fn spend(&mut self) -> Result<(), TableError> {
        self.entries_left = self.entries_left.checked_sub(1).ok_or(TableError::TooManyEntries)?;
        Ok(())
    }
}

const fn allow_depth(depth: usize) -> Result<(), TableError> {
    if depth > TABLE_DEPTH_MAX { Err(TableError::TooDeep) } else { Ok(()) }
}

type Entry<'a> = (&'a [u8], RawValue<'a>);

fn split_entry(input: &[u8]) -> Result<(&[u8], Entry<'_>), TableError> {
    let (input, key) = shortstr(input)?;
    let (rest, value) = split_value(input)?;
    Ok((rest, (key, value)))
}

fn split_value(input: &[u8]) -> Result<(&[u8], RawValue<'_>), TableError> {
    let (input, tag) = octet(input)?;
    let (rest, contents) = match tag::extent(tag) {
        Some(Extent::Fixed(size)) => bytes(input, size)?,
        Some(Extent::Counted) => longstr(input)?,
        None => return Err(TableError::UnknownTag(tag)),
    };
    Ok((rest, RawValue { tag, contents }))
}

fn fixed<const N: usize>(contents: &[u8]) -> Result<[u8; N], TableError> {
    contents.try_into().map_err(|_| TableError::Truncated)
}

impl From<nom::Err<Fault>> for TableError {
    fn from(_: nom::Err<Fault>) -> Self {
        Self::Truncated
    }
}
