//! Reading a broker's output without decoding it.
//!
//! A consumer that decoded each delivery would cost as much as the broker it measures. So frames are walked by their
//! envelope: seven bytes say how far the next one is. Only methods are looked into; content headers and bodies are
//! stepped over, even when they have not arrived yet.
//!
//! ```text
//! +------+---------+--------+ +---------+ +-----+
//! | kind | channel | size   | | payload | | end |
//! | u8   | u16     | u32    | | size    | | xCE |
//! +------+---------+--------+ +---------+ +-----+
//! ```

use std::io::{ErrorKind, Read};

use anyhow::{Result, bail, ensure};
use leveret_codec::frame::{FRAME_END, FrameKind};
use leveret_codec::limits::FRAME_HEADER_SIZE;

const METHOD: u8 = FrameKind::Method as u8;
const HEADER: u8 = FrameKind::Header as u8;
const BODY: u8 = FrameKind::Body as u8;
const HEARTBEAT: u8 = FrameKind::Heartbeat as u8;

const BASIC_RETURN: u32 = 60 << 16 | 50;
const BASIC_DELIVER: u32 = 60 << 16 | 60;
const BASIC_ACK: u32 = 60 << 16 | 80;
const BASIC_NACK: u32 = 60 << 16 | 120;

/// A method that the broker sent, as far as the load generator has to know it.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// `basic.deliver` with its delivery tag.
    Delivered(u64),
    /// `basic.ack`: the broker confirms a publish, or all up to it.
    Confirmed {
        /// Sequence number of the publish.
        tag: u64,
        /// Whether all before it are confirmed too.
        multiple: bool,
    },
    /// `basic.nack`: the broker did not take a publish, or all up to it.
    Refused {
        /// Sequence number of the publish.
        tag: u64,
        /// Whether all before it were refused too.
        multiple: bool,
    },
    /// The first bytes of a body, when all of that body has come. Only a timed reader tells them.
    Stamp(u64),
    /// `basic.return`: a mandatory message had no queue.
    Returned,
    /// Any other method, as its payload.
    Other(&'a [u8]),
}

impl<'a> Event<'a> {
    fn of(payload: &'a [u8]) -> Option<Self> {
        let (ids, arguments) = payload.split_first_chunk::<4>()?;
        match u32::from_be_bytes(*ids) {
            BASIC_DELIVER => {
                let (&tag_len, rest) = arguments.split_first()?;
                let tag = rest.get(usize::from(tag_len)..)?.first_chunk::<8>()?;
                Some(Self::Delivered(u64::from_be_bytes(*tag)))
            }
            method @ (BASIC_ACK | BASIC_NACK) => {
                let (tag, bits) = arguments.split_first_chunk::<8>()?;
                let (tag, multiple) = (u64::from_be_bytes(*tag), bits.first()? & 1 == 1);
                Some(if method == BASIC_ACK {
                    Self::Confirmed { tag, multiple }
                } else {
                    Self::Refused { tag, multiple }
                })
            }
            BASIC_RETURN => Some(Self::Returned),
            _ => Some(Self::Other(payload)),
        }
    }
}

/// What one read from the socket gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// This many bytes.
    Bytes(usize),
    /// Nothing within the socket's read timeout.
    Nothing,
    /// The broker closed the connection.
    End,
}

/// A large read buffer and the place in the stream of frames.
pub struct FrameReader {
    buffer: Box<[u8]>,
    filled: usize,
    walker: Walker,
}

impl FrameReader {
    /// A reader of `capacity` bytes, which is also the most that one read takes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { buffer: vec![0; capacity].into(), filled: 0, walker: Walker::default() }
    }

    /// A reader that tells the first bytes of bodies too. Frames must fit its buffer.
    pub fn timed(capacity: usize) -> Self {
        let walker = Walker { body: Some(BodyWatch::default()), ..Walker::default() };
        Self { walker, ..Self::with_capacity(capacity) }
    }

    /// Reads once and tells `on_event` each method that has arrived whole.
    ///
    /// # Errors
    /// When the socket fails, when the stream is not made of frames, or when `on_event` says so.
    pub fn read(&mut self, source: &mut impl Read, on_event: impl FnMut(Event<'_>) -> Result<()>) -> Result<Received> {
        let Some(space) = self.buffer.get_mut(self.filled..).filter(|space| !space.is_empty()) else {
            bail!("a frame is larger than the read buffer");
        };
        let received = match source.read(space) {
            Ok(0) => return Ok(Received::End),
            Ok(received) => received,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {
                    return Ok(Received::Nothing);
                }
                ErrorKind::ConnectionReset => return Ok(Received::End),
                _ => return Err(error.into()),
            },
        };
        let end = self.filled + received;
        let walked = self.walker.walk(self.buffer.get(..end).unwrap_or_default(), on_event)?;
        self.buffer.copy_within(walked..end, 0);
        self.filled = end - walked;
        Ok(Received::Bytes(received))
    }
}

/// Steps from frame to frame.
#[derive(Default)]
struct Walker {
    /// Bytes still to come of a content frame that was stepped over.
    skip: usize,
    /// What is known of the body under way, when bodies are looked at.
    body: Option<BodyWatch>,
}

/// A body of which not all frames have come.
#[derive(Default)]
struct BodyWatch {
    missing: u64,
    stamp: Option<u64>,
}

impl BodyWatch {
    /// Takes a whole frame of content and gives the first bytes of a body that is complete with it.
    fn take(&mut self, kind: u8, payload: &[u8]) -> Option<u64> {
        match kind {
            HEADER => {
                // Class and weight stand before the size.
                self.missing = u64::from_be_bytes(*payload.get(4..)?.first_chunk()?);
                self.stamp = None;
                None
            }
            BODY => {
                self.missing = self.missing.saturating_sub(payload.len() as u64);
                self.stamp = self.stamp.or_else(|| payload.first_chunk().map(|stamp| u64::from_be_bytes(*stamp)));
                if self.missing == 0 { self.stamp.take() } else { None }
            }
            _ => None,
        }
    }
}

impl Walker {
    /// Walks all of `bytes` that can be walked and returns how many they are; the rest must be given again with what
    /// follows it.
    #[inline]
    fn walk(&mut self, bytes: &[u8], mut on_event: impl FnMut(Event<'_>) -> Result<()>) -> Result<usize> {
        let mut rest = bytes.get(self.skip..).unwrap_or_default();
        if self.skip > bytes.len() {
            self.skip -= bytes.len();
            return Ok(bytes.len());
        }
        self.skip = 0;
        while let Some((envelope, after)) = rest.split_first_chunk::<FRAME_HEADER_SIZE>() {
            let [kind, _, _, a, b, c, d] = *envelope;
            let size = u32::from_be_bytes([a, b, c, d]) as usize;
            let Some((payload, after_payload)) = after.split_at_checked(size) else {
                if kind == METHOD || self.body.is_some() {
                    break;
                }
                self.step_over(kind, size + 1 - after.len())?;
                return Ok(bytes.len());
            };
            let Some((&end, after_frame)) = after_payload.split_first() else {
                break;
            };
            ensure!(end == FRAME_END, "a frame of kind {kind} ends with {end:#04x}");
            match kind {
                METHOD => match Event::of(payload) {
                    Some(event) => on_event(event)?,
                    None => bail!("a method frame of {size} bytes is cut short"),
                },
                HEADER | BODY | HEARTBEAT => {
                    if let Some(stamp) = self.body.as_mut().and_then(|body| body.take(kind, payload)) {
                        on_event(Event::Stamp(stamp))?;
                    }
                }
                other => bail!("the broker sent a frame of kind {other}"),
            }
            rest = after_frame;
        }
        Ok(bytes.len() - rest.len())
    }

    #[cold]
    fn step_over(&mut self, kind: u8, missing: usize) -> Result<()> {
        ensure!(matches!(kind, HEADER | BODY | HEARTBEAT), "the broker sent a frame of kind {kind}");
        self.skip = missing;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind, 0, 1];
        frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend(payload);
        frame.push(0xCE);
        frame
    }

    fn delivery(tag: u64, body: &[u8]) -> Vec<u8> {
        let mut deliver = vec![0, 60, 0, 60, 4];
        deliver.extend(b"ctag");
        deliver.extend(tag.to_be_bytes());
        deliver.extend([0, 0, 1, b'q']);
        let mut header = vec![0, 60, 0, 0];
        header.extend((body.len() as u64).to_be_bytes());
        header.extend([0, 0]);
        [frame(METHOD, &deliver), frame(HEADER, &header), frame(BODY, body)].concat()
    }

    /// Gives out its bytes a few at a time, as a socket may.
    struct Trickle<'a> {
        bytes: &'a [u8],
        step: usize,
    }

    impl Read for Trickle<'_> {
        fn read(&mut self, space: &mut [u8]) -> std::io::Result<usize> {
            let take = self.step.min(self.bytes.len()).min(space.len());
            let (now, later) = self.bytes.split_at(take);
            space[..take].copy_from_slice(now);
            self.bytes = later;
            Ok(take)
        }
    }

    fn read_all(bytes: &[u8], step: usize, capacity: usize) -> Result<Vec<u64>> {
        let mut source = Trickle { bytes, step };
        let mut reader = FrameReader::with_capacity(capacity);
        let mut tags = Vec::new();
        loop {
            let received = reader.read(&mut source, |event| {
                if let Event::Delivered(tag) = event {
                    tags.push(tag);
                }
                Ok(())
            })?;
            if received == Received::End {
                return Ok(tags);
            }
        }
    }

    #[test]
    fn deliveries_are_counted_however_the_reads_split_them() {
        let mut bytes = Vec::new();
        for tag in 1..=20 {
            bytes.extend(delivery(tag, &vec![0xCE; usize::try_from(tag * 13).unwrap()]));
            bytes.extend(frame(HEARTBEAT, b""));
        }
        let expected: Vec<u64> = (1..=20).collect();
        for step in 1..bytes.len() {
            assert_eq!(read_all(&bytes, step, 4096).unwrap(), expected, "{step} bytes a read");
        }
    }

    #[test]
    fn a_body_larger_than_the_buffer_is_stepped_over() {
        let bytes = [delivery(1, &[7; 10_000]), delivery(2, b""), delivery(3, b"x")].concat();
        for step in [1, 7, 100, 4096] {
            assert_eq!(read_all(&bytes, step, 128).unwrap(), [1, 2, 3], "{step} bytes a read");
        }
    }

    #[test]
    fn a_method_larger_than_the_buffer_is_an_error() {
        let bytes = frame(METHOD, &[0; 200]);
        assert!(read_all(&bytes, 200, 128).is_err());
    }

    #[test]
    fn bytes_that_are_no_frames_are_an_error() {
        let mut broken_end = delivery(1, b"body");
        *broken_end.last_mut().unwrap() = 0;
        assert!(read_all(&broken_end, 4096, 4096).is_err());
        assert!(read_all(&frame(9, b"body"), 4096, 4096).is_err());
        assert!(read_all(b"HTTP/1.1 400 Bad Request\r\n", 4096, 4096).is_err());
        assert!(read_all(&frame(METHOD, &[0, 60, 0]), 4096, 4096).is_err());
    }

    #[test]
    fn methods_are_told_apart() {
        let tag = 9u64.to_be_bytes();
        let ack = [&[0, 60, 0, 80][..], &tag, &[1]].concat();
        assert_eq!(Event::of(&ack), Some(Event::Confirmed { tag: 9, multiple: true }));
        let ack = [&[0, 60, 0, 80][..], &tag, &[0]].concat();
        assert_eq!(Event::of(&ack), Some(Event::Confirmed { tag: 9, multiple: false }));
        let nack = [&[0, 60, 0, 120][..], &tag, &[1]].concat();
        assert_eq!(Event::of(&nack), Some(Event::Refused { tag: 9, multiple: true }));
        assert_eq!(Event::of(&[0, 60, 0, 50]), Some(Event::Returned));
        assert_eq!(Event::of(&[0, 20, 0, 41]), Some(Event::Other(&[0, 20, 0, 41])));
        assert_eq!(Event::of(&[0, 60, 0, 60, 200]), None);
    }

    #[test]
    fn a_timed_reader_tells_the_first_bytes_of_whole_bodies() {
        let stamped = |stamp: u64, rest: &[u8]| [&stamp.to_be_bytes(), rest].concat();
        let mut in_two_frames = delivery(2, &stamped(78, &[7; 42]));
        let body = in_two_frames.split_off(in_two_frames.len() - 58);
        for part in body[7..57].chunks(30) {
            in_two_frames.extend(frame(BODY, part));
        }
        let bytes = [delivery(1, &stamped(77, b"")), delivery(9, b""), in_two_frames, delivery(3, &stamped(79, b"x"))];
        let bytes = bytes.concat();
        for step in [1, 7, 100, 4096] {
            let mut source = Trickle { bytes: &bytes, step };
            let mut reader = FrameReader::timed(128);
            let mut seen = Vec::new();
            loop {
                let received = reader.read(&mut source, |event| {
                    seen.push(match event {
                        Event::Delivered(tag) | Event::Stamp(tag) => tag,
                        other => bail!("{other:?}"),
                    });
                    Ok(())
                });
                if received.unwrap() == Received::End {
                    break;
                }
            }
            assert_eq!(seen, [1, 77, 9, 2, 78, 3, 79], "{step} bytes a read");
        }
    }
}
