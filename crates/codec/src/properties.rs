//! Properties of basic content: a flags word, then the fields that it announces in the order of its bits.

mod edit;
mod fields;

use thiserror::Error;

use crate::read::{Parsed, bytes, longstr, short, shortstr};
use crate::table::{TableError, TableRef};

pub use edit::PropertiesEdit;
use fields::kind_of;
pub use fields::{Properties, Property};

/// Bit 1 has no property and bit 0 announces a second flags word, which no property needs.
const RESERVED_FLAGS: u16 = 0b11;

const HIGHEST_FLAG: u16 = 1 << 15;

/// Properties as they are on the wire. A getter walks over the fields before its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PropertiesRef<'a>(&'a [u8]);

/// Why bytes are not properties.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum PropertiesError {
    /// The flags announce more than there is.
    #[error("properties end early")]
    Truncated,
    /// A flag without a property is set.
    #[error("reserved property flags are set")]
    ReservedFlags,
    /// Bytes are left after the last property.
    #[error("bytes follow the properties")]
    TrailingBytes,
}

/// How a property looks on the wire.
#[derive(Clone, Copy)]
enum FieldKind {
    Octet,
    LongLong,
    ShortStr,
    Table,
}

impl<'a> PropertiesRef<'a> {
    /// No properties at all.
    pub const EMPTY: PropertiesRef<'static> = PropertiesRef(&[0, 0]);

    /// Checks in one pass that every announced field is there and nothing else. The headers are not looked into: see
    /// [`TableRef::check`].
    ///
    /// # Errors
    /// [`PropertiesError`] when `raw` is not exactly a flags word and its fields.
    #[inline]
    pub fn parse(raw: &'a [u8]) -> Result<Self, PropertiesError> {
        check(raw)?;
        Ok(Self(raw))
    }

    /// Takes bytes that [`PropertiesRef::parse`] accepted before, such as those of a stored message, without a second
    /// check. Of other bytes the getters may find nothing or nonsense.
    #[inline]
    #[must_use]
    pub const fn from_checked(raw: &'a [u8]) -> Self {
        Self(raw)
    }

    /// The flags word.
    #[inline]
    #[must_use]
    pub const fn flags(self) -> u16 {
        match self.0.first_chunk() {
            Some(flags) => u16::from_be_bytes(*flags),
            None => 0,
        }
    }

    /// Whether the property is present.
    #[inline]
    #[must_use]
    pub const fn has(self, property: Property) -> bool {
        self.flags() & property.flag() != 0
    }

    /// Flags and fields as they are on the wire.
    #[inline]
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Copies every field and decodes the headers.
    ///
    /// # Errors
    /// [`TableError`] when the headers do not decode.
    pub fn to_owned(self) -> Result<Properties, TableError> {
        Properties::try_from(self)
    }

    fn shortstr(self, property: Property) -> Option<&'a [u8]> {
        self.contents(property)
    }

    fn octet(self, property: Property) -> Option<u8> {
        self.contents(property)?.first().copied()
    }

    fn longlong(self, property: Property) -> Option<u64> {
        self.contents(property)?.first_chunk().copied().map(u64::from_be_bytes)
    }

    fn table(self, property: Property) -> Option<TableRef<'a>> {
        self.contents(property).map(TableRef::from_raw)
    }

    /// The bytes of a property without their length.
    #[inline]
    fn contents(self, property: Property) -> Option<&'a [u8]> {
        if !self.has(property) {
            return None;
        }
        let (mut rest, flags) = short(self.0).ok()?;
        for flag in flags_in_order(flags) {
            let (after, contents) = field(flag, rest).ok()?;
            if flag == property.flag() {
                return Some(contents);
            }
            rest = after;
        }
        None
    }
}

/// Out of line, and returning next to nothing, so that `parse` itself disappears into its caller.
fn check(raw: &[u8]) -> Result<(), PropertiesError> {
    let Ok((mut rest, flags)) = short(raw) else {
        return Err(PropertiesError::Truncated);
    };
    if flags & RESERVED_FLAGS != 0 {
        return Err(PropertiesError::ReservedFlags);
    }
    for flag in flags_in_order(flags) {
        (rest, _) = field(flag, rest).map_err(|_| PropertiesError::Truncated)?;
    }
    if rest.is_empty() { Ok(()) } else { Err(PropertiesError::TrailingBytes) }
}

impl Default for PropertiesRef<'_> {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// The single flags that are set, in the order in which their fields stand.
#[inline]
fn flags_in_order(mut flags: u16) -> impl Iterator<Item = u16> {
    flags &= !RESERVED_FLAGS;
    std::iter::from_fn(move || {
        if flags == 0 {
            return None;
        }
        let flag = HIGHEST_FLAG >> flags.leading_zeros();
        flags ^= flag;
        Some(flag)
    })
}

#[inline(always)]
fn field(flag: u16, input: &[u8]) -> Parsed<'_, &[u8]> {
    match kind_of(flag) {
        FieldKind::ShortStr => shortstr(input),
        FieldKind::Octet => bytes(input, 1),
        FieldKind::LongLong => bytes(input, 8),
        FieldKind::Table => longstr(input),
    }
}
