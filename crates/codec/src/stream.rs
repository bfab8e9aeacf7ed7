//! Whole frames over `tokio_util`'s [`Decoder`] and [`Encoder`], for clients and tools. The eight octets of
//! [`crate::protocol_header`] are not a frame: they go to the socket before the first. A broker that wants the last
//! nanosecond reads into its own buffer and uses [`crate::frame::split_frame`].

use bytes::{Buf, Bytes, BytesMut};
use std::io;
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};

use crate::frame::{FRAME_END, Frame, FrameError, FrameKind, split_frame};
use crate::limits::{FRAME_HEADER_SIZE, FRAME_OVERHEAD};

/// One frame that owns its payload. The payload shares the read buffer and keeps all of it alive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnedFrame {
    /// What the payload is.
    pub kind: FrameKind,
    /// The channel, 0 for the connection itself.
    pub channel: u16,
    /// The payload, without header and end octet.
    pub payload: Bytes,
}

impl OwnedFrame {
    /// The same frame, borrowed.
    #[must_use]
    pub fn as_frame(&self) -> Frame<'_> {
        Frame { kind: self.kind, channel: self.channel, payload: &self.payload }
    }
}

/// Why a stream of frames ends.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The bytes are not a frame, or a frame to be sent is too large.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Splits a stream into frames and joins frames to a stream.
#[derive(Clone, Debug)]
pub struct FrameCodec {
    payload_max: usize,
}

impl FrameCodec {
    /// A codec that takes payloads of up to `payload_max` bytes: `frame_max - 8`, or `usize::MAX` for no limit.
    #[must_use]
    pub const fn new(payload_max: usize) -> Self {
        Self { payload_max }
    }

    /// Changes the limit, as tuning does, from the next frame on.
    pub fn set_payload_max(&mut self, payload_max: usize) {
        self.payload_max = payload_max;
    }
}

impl Decoder for FrameCodec {
    type Item = OwnedFrame;
    type Error = StreamError;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<OwnedFrame>, StreamError> {
        let Some(Frame { kind, channel, payload }) = split_frame(input, self.payload_max)? else {
            return Ok(None);
        };
        let payload_len = payload.len();
        let mut frame = input.split_to(payload_len + FRAME_OVERHEAD).freeze();
        frame.advance(FRAME_HEADER_SIZE);
        frame.truncate(payload_len);
        Ok(Some(OwnedFrame { kind, channel, payload: frame }))
    }
}

impl Encoder<OwnedFrame> for FrameCodec {
    type Error = StreamError;

    /// A payload over the limit is refused: only its sender knows whether and where it can be cut.
    fn encode(&mut self, frame: OwnedFrame, out: &mut BytesMut) -> Result<(), StreamError> {
        let OwnedFrame { kind, channel, payload } = frame;
        let size = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= self.payload_max);
        let Some(size) = size else {
            return Err(
                FrameError::TooLarge { kind: kind as u8, size: payload.len(), allowed: self.payload_max }.into()
            );
        };
        out.reserve(payload.len() + FRAME_OVERHEAD);
        out.extend_from_slice(&[kind as u8]);
        out.extend_from_slice(&channel.to_be_bytes());
        out.extend_from_slice(&size.to_be_bytes());
        out.extend_from_slice(&payload);
        out.extend_from_slice(&[FRAME_END]);
        Ok(())
    }
}
