//! The tags that say what type a value has.

pub(super) const BOOL: u8 = b't';
pub(super) const I8: u8 = b'b';
pub(super) const U8: u8 = b'B';
pub(super) const I16: u8 = b's';
pub(super) const U16: u8 = b'u';
pub(super) const I32: u8 = b'I';
pub(super) const U32: u8 = b'i';
pub(super) const I64: u8 = b'l';
/// Understood as [`I64`], never written.
pub(super) const I64_INPUT: u8 = b'L';
pub(super) const F32: u8 = b'f';
pub(super) const F64: u8 = b'd';
pub(super) const DECIMAL: u8 = b'D';
pub(super) const LONG_STR: u8 = b'S';
pub(super) const ARRAY: u8 = b'A';
pub(super) const TABLE: u8 = b'F';
pub(super) const TIMESTAMP: u8 = b'T';
pub(super) const BYTE_ARRAY: u8 = b'x';
pub(super) const VOID: u8 = b'V';

/// How far a value reaches.
pub(super) enum Extent {
    /// As many bytes as this.
    Fixed(usize),
    /// A 32-bit length and as many bytes as it says.
    Counted,
}

/// How far a value with this tag reaches; `None` when the tag is unknown.
#[inline]
pub(super) const fn extent(tag: u8) -> Option<Extent> {
    Some(match tag {
        VOID => Extent::Fixed(0),
        BOOL | I8 | U8 => Extent::Fixed(1),
        I16 | U16 => Extent::Fixed(2),
        I32 | U32 | F32 => Extent::Fixed(4),
        DECIMAL => Extent::Fixed(5),
        I64 | I64_INPUT | F64 | TIMESTAMP => Extent::Fixed(8),
        LONG_STR | ARRAY | TABLE | BYTE_ARRAY => Extent::Counted,
        _ => return None,
    })
}

/// RabbitMQ's internal name of the type.
pub(super) const fn type_name(tag: u8) -> &'static str {
    match tag {
        BOOL => "bool",
        I8 => "byte",
        U8 => "unsignedbyte",
        I16 => "short",
        U16 => "unsignedshort",
        I32 => "signedint",
        U32 => "unsignedint",
        I64 | I64_INPUT => "long",
        F32 => "float",
        F64 => "double",
        DECIMAL => "decimal",
        LONG_STR => "longstr",
        ARRAY => "array",
        TABLE => "table",
        TIMESTAMP => "timestamp",
        BYTE_ARRAY => "binary",
        _ => "void",
    }
}
