//! The envelope of a frame: `type:u8 channel:u16 size:u32 payload[size] 0xCE`, all big-endian.

use std::fmt::{self, Display, Formatter};

use crate::erlang::{Binary, Page};
use crate::limits::{FRAME_HEADER_SIZE, FRAME_OVERHEAD, FRAME_SIZE_FUDGE, PAYLOAD_PREFIX_SIZE};
use crate::write::patch_length;

pub use crate::wire::{FRAME_END, FrameKind};

/// Where the size stands in a frame.
const SIZE_OFFSET: usize = 3;

/// One frame, borrowed from the input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// What the payload is.
    pub kind: FrameKind,
    /// The channel, 0 for the connection itself.
    pub channel: u16,
    /// The payload, without header and end octet.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// How many octets the frame takes on the wire.
    #[inline]
    #[must_use]
    pub const fn wire_len(&self) -> usize {
        self.payload.len() + FRAME_OVERHEAD
    }

    /// The words with which RabbitMQ's error texts describe a frame: `type 3, all octets = <<"hi">>`.
    pub fn describe(&self) -> impl Display + use<> {
        Description { kind: self.kind as u8, payload: PayloadPrefix::of(self.payload) }
    }
}

/// Why the input is not a frame. Shows the text that RabbitMQ puts after `FRAME_ERROR - `.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FrameError {
    /// The announced payload is larger than allowed. Known from the header alone.
    TooLarge {
        /// The type octet, of whatever value.
        kind: u8,
        /// The announced payload size in bytes.
        size: usize,
        /// The negotiated limit of the payload in bytes.
        allowed: usize,
    },
    /// The octet after the payload is not the end marker.
    BadEnd {
        /// The type octet, of whatever value.
        kind: u8,
        /// The beginning of the payload.
        payload: PayloadPrefix,
        /// What stands in the place of the end marker.
        found: u8,
    },
    /// The type octet has no meaning, or the payload cannot be one of that type: a heartbeat that is not empty, a
    /// method or a content header too short for its fixed fields.
    UnknownType {
        /// The type octet.
        kind: u8,
        /// The beginning of the payload.
        payload: PayloadPrefix,
    },
}

/// The first octets of a payload, kept for an error text.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct PayloadPrefix {
    bytes: [u8; PAYLOAD_PREFIX_SIZE],
    len: u8,
    is_all: bool,
}

/// Takes the frame at the beginning of `buf`; `None` when more bytes are needed.
///
/// `payload_max` is the negotiated limit, `frame_max - 8`, or `usize::MAX` for none. Like RabbitMQ this forgives
/// [`FRAME_SIZE_FUDGE`] bytes more, but names the limit itself in the error. A frame that is too large is refused as
/// soon as its header is there, so that nobody waits or allocates for it.
///
/// # Errors
/// [`FrameError`], after which the rest of the input has no meaning: the connection must end.
#[inline]
pub fn split_frame(buf: &[u8], payload_max: usize) -> Result<Option<Frame<'_>>, FrameError> {
    let Some((&[type_octet, channel_1, channel_0, size_3, size_2, size_1, size_0], rest)) =
        buf.split_first_chunk::<FRAME_HEADER_SIZE>()
    else {
        return Ok(None);
    };
    let size = u32::from_be_bytes([size_3, size_2, size_1, size_0]);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > payload_max.saturating_add(FRAME_SIZE_FUDGE) {
        return Err(FrameError::TooLarge { kind: type_octet, size, allowed: payload_max });
    }
    let Some((payload, &[found, ..])) = rest.split_at_checked(size) else {
        return Ok(None);
    };
    if found != FRAME_END {
        return Err(bad_end(type_octet, payload, found));
    }
    match FrameKind::from_u8(type_octet) {
        Some(kind) if fits(kind, size) => {
            let channel = u16::from_be_bytes([channel_1, channel_0]);
            Ok(Some(Frame { kind, channel, payload }))
        }
        _ => Err(unknown_type(type_octet, payload)),
    }
}

/// Appends the header of a frame whose payload the caller appends next; returns what [`end_frame`] needs.
#[inline]
pub fn begin_frame(out: &mut Vec<u8>, kind: FrameKind, channel: u16) -> usize {
    let start = out.len();
    let [channel_1, channel_0] = channel.to_be_bytes();
    out.extend_from_slice(&[kind as u8, channel_1, channel_0, 0, 0, 0, 0]);
    start
}

/// Completes the frame that [`begin_frame`] began at `start`: writes its size and the end octet.
#[inline]
pub fn end_frame(out: &mut Vec<u8>, start: usize) {
    let size = out.len().saturating_sub(start + FRAME_HEADER_SIZE);
    patch_length(out, start + SIZE_OFFSET, size);
    out.push(FRAME_END);
}

/// Whether a payload of this size can be of this kind at all.
#[inline]
const fn fits(kind: FrameKind, size: usize) -> bool {
    match kind {
        FrameKind::Method => size >= 4,
        FrameKind::Header => size >= 12,
        FrameKind::Body => true,
        FrameKind::Heartbeat => size == 0,
    }
}

// The errors are made out of line so that the way of a good frame stays short.

#[cold]
#[inline(never)]
fn bad_end(kind: u8, payload: &[u8], found: u8) -> FrameError {
    FrameError::BadEnd { kind, payload: PayloadPrefix::of(payload), found }
}

#[cold]
#[inline(never)]
fn unknown_type(kind: u8, payload: &[u8]) -> FrameError {
    FrameError::UnknownType { kind, payload: PayloadPrefix::of(payload) }
}

impl std::error::Error for FrameError {}

impl Display for FrameError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut page = Page::new(f);
        match *self {
            Self::TooLarge { kind, size, allowed } => {
                Description { kind, payload: PayloadPrefix::EMPTY }.write(&mut page)?;
                page.text(&format!(": {{frame_too_large,{size},{allowed}}}"))
            }
            Self::BadEnd { kind, payload, found } => {
                Description { kind, payload }.write(&mut page)?;
                page.text(": ")?;
                page.pair("invalid_frame_end_marker", found)
            }
            Self::UnknownType { kind, payload } => {
                Description { kind, payload }.write(&mut page)?;
                page.text(": unknown_frame")
            }
        }
    }
}

/// A frame in RabbitMQ's words.
struct Description {
    kind: u8,
    payload: PayloadPrefix,
}

impl Description {
    fn write(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let Self { kind, payload } = self;
        let extent = if payload.is_all { "all".to_owned() } else { format!("first {PAYLOAD_PREFIX_SIZE}") };
        page.text(&format!("type {kind}, {extent} octets = "))?;
        page.binary(payload.as_bytes())
    }
}

impl Display for Description {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write(&mut Page::new(f))
    }
}

impl PayloadPrefix {
    const EMPTY: Self = Self { bytes: [0; PAYLOAD_PREFIX_SIZE], len: 0, is_all: true };

    /// Keeps the beginning of `payload`.
    #[must_use]
    pub fn of(payload: &[u8]) -> Self {
        let mut prefix = Self::EMPTY;
        for (place, &byte) in prefix.bytes.iter_mut().zip(payload) {
            *place = byte;
            prefix.len += 1;
        }
        prefix.is_all = payload.len() <= PAYLOAD_PREFIX_SIZE;
        prefix
    }

    /// The octets that were kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Debug for PayloadPrefix {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "PayloadPrefix({})", Binary(self.as_bytes()))
    }
}
