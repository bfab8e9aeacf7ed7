//! Writers of the elementary types, each appending to a buffer.

use crate::frame::{FrameKind, begin_frame, end_frame};
use crate::limits::{FRAME_OVERHEAD, SHORTSTR_MAX};
use crate::table::TableRef;

/// Room for a typical method frame, so that a fresh buffer does not grow field by field.
const METHOD_SIZE_HINT: usize = FRAME_OVERHEAD + 88;

/// Appends a method frame whose arguments `write_arguments` appends.
#[inline]
pub(crate) fn frame(
    (class_id, method_id): (u16, u16),
    channel: u16,
    out: &mut Vec<u8>,
    write_arguments: impl FnOnce(&mut Vec<u8>),
) {
    out.reserve(METHOD_SIZE_HINT);
    let start = begin_frame(out, FrameKind::Method, channel);
    put_short(out, class_id);
    put_short(out, method_id);
    write_arguments(out);
    end_frame(out, start);
}

/// Packs bits into an octet, the first into the lowest.
#[inline]
pub(crate) fn put_bits<const N: usize>(out: &mut Vec<u8>, bits: [bool; N]) {
    const { assert!(N <= 8) };
    let packed = bits.iter().rev().fold(0, |packed, &bit| packed << 1 | u8::from(bit));
    out.push(packed);
}

#[inline]
pub(crate) fn put_octet(out: &mut Vec<u8>, value: u8) {
    out.push(value);
}

#[inline]
pub(crate) fn put_short(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

#[inline]
pub(crate) fn put_long(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

#[inline]
pub(crate) fn put_longlong(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Writes at most 255 bytes of `text`; a cut never splits a character of UTF-8, or the peer would refuse the frame.
#[inline]
pub(crate) fn put_shortstr(out: &mut Vec<u8>, text: &[u8]) {
    let text = if text.len() <= SHORTSTR_MAX { text } else { cut(text) };
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    out.push(length);
    out.extend_from_slice(text);
}

#[inline]
pub(crate) fn put_longstr(out: &mut Vec<u8>, text: &[u8]) {
    with_length(out, |out| out.extend_from_slice(text));
}

#[inline]
pub(crate) fn put_table(out: &mut Vec<u8>, table: TableRef<'_>) {
    put_longstr(out, table.as_bytes());
}

/// Writes a 32-bit length and then what `write_contents` appends.
#[inline]
pub(crate) fn with_length(out: &mut Vec<u8>, write_contents: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put_long(out, 0);
    write_contents(out);
    let length = out.len().saturating_sub(start + size_of::<u32>());
    patch_length(out, start, length);
}

/// Overwrites the 32-bit length at `position`. Nothing that goes into one frame comes near 4 GiB.
#[inline]
pub(crate) fn patch_length(out: &mut [u8], position: usize, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(position..).and_then(|rest| rest.first_chunk_mut()) {
        *place = length.to_be_bytes();
    }
}

#[cold]
fn cut(text: &[u8]) -> &[u8] {
    let cut = text.get(..SHORTSTR_MAX).unwrap_or(text);
    match str::from_utf8(text) {
        Ok(valid) => cut.get(..valid.floor_char_boundary(SHORTSTR_MAX)).unwrap_or(cut),
        Err(_) => cut,
    }
}
