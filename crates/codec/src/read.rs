//! Parsers of the elementary types, for whole inputs: a payload has arrived or is not looked at, so these are nom's
//! `complete` parsers, which cost a fraction of the streaming ones. They are inlined wherever they are used: each is a
//! few instructions, while its result handed over in memory would cost more than the parsing.

use nom::Input;
use nom::error::{ErrorKind, ParseError};

use crate::table::TableRef;

/// A value and the rest of the input.
pub(crate) type Parsed<'a, T> = nom::IResult<&'a [u8], T, Fault>;

/// Why an argument list does not decode. No position: the error texts do not name one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    Malformed,
    NotUtf8,
}

impl<I> ParseError<I> for Fault {
    fn from_error_kind(_: I, _: ErrorKind) -> Self {
        Self::Malformed
    }

    fn append(_: I, _: ErrorKind, other: Self) -> Self {
        other
    }
}

#[inline(always)]
pub(crate) fn octet(input: &[u8]) -> Parsed<'_, u8> {
    let (rest, [value]) = array(input)?;
    Ok((rest, value))
}

#[inline(always)]
pub(crate) fn short(input: &[u8]) -> Parsed<'_, u16> {
    let (rest, value) = array(input)?;
    Ok((rest, u16::from_be_bytes(value)))
}

#[inline(always)]
pub(crate) fn long(input: &[u8]) -> Parsed<'_, u32> {
    let (rest, value) = array(input)?;
    Ok((rest, u32::from_be_bytes(value)))
}

#[inline(always)]
pub(crate) fn longlong(input: &[u8]) -> Parsed<'_, u64> {
    let (rest, value) = array(input)?;
    Ok((rest, u64::from_be_bytes(value)))
}

/// The next `N` bytes. nom's own number parsers go byte by byte, which the compiler does not always undo.
#[inline(always)]
fn array<const N: usize>(input: &[u8]) -> Parsed<'_, [u8; N]> {
    let (rest, taken) = bytes(input, N)?;
    match taken.try_into() {
        Ok(array) => Ok((rest, array)),
        Err(_) => Err(nom::Err::Error(Fault::Malformed)),
    }
}

/// nom's complete `take`, from the same parts. nom's own is sometimes left out of line, which then costs twice what all
/// of a publish does.
#[inline(always)]
pub(crate) fn bytes(input: &[u8], count: usize) -> Parsed<'_, &[u8]> {
    match input.slice_index(count) {
        Ok(index) => Ok(input.take_split(index)),
        Err(_) => Err(nom::Err::Error(Fault::Malformed)),
    }
}

#[inline(always)]
pub(crate) fn shortstr(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (input, length) = octet(input)?;
    bytes(input, usize::from(length))
}

#[inline]
pub(crate) fn shortstr_utf8(input: &[u8]) -> Parsed<'_, &str> {
    let (input, text) = shortstr(input)?;
    match str::from_utf8(text) {
        Ok(text) => Ok((input, text)),
        Err(_) => Err(nom::Err::Failure(Fault::NotUtf8)),
    }
}

#[inline(always)]
pub(crate) fn longstr(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (input, length) = long(input)?;
    // On a target whose usize is smaller the maximum is longer than any input, so it fails as it should.
    bytes(input, usize::try_from(length).unwrap_or(usize::MAX))
}

#[inline(always)]
pub(crate) fn table(input: &[u8]) -> Parsed<'_, TableRef<'_>> {
    let (input, contents) = longstr(input)?;
    Ok((input, TableRef::from_raw(contents)))
}
