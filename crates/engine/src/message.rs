//! Messages: the parts as they come off the wire, and the form in which they are kept.

use std::sync::Arc;

use bytes::Bytes;

use crate::journal::Blob;
use crate::limits::SHARED_BODY_BYTES_MIN;

/// The four parts of a message, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Name of the exchange it was published to.
    pub exchange: &'a [u8],
    /// The publisher's routing key.
    pub routing_key: &'a [u8],
    /// Property flags and fields, as on the wire.
    pub properties: &'a [u8],
    /// The body; empty when it is a blob.
    pub body: &'a [u8],
    /// The same body in shareable form, where there is one.
    pub shared_body: Option<&'a Bytes>,
    /// The body, when it is not in memory.
    pub blob: Option<&'a Blob>,
}

impl Parts<'_> {
    /// Bytes of the body, wherever it is.
    #[must_use]
    pub fn body_len(&self) -> u64 {
        self.blob.map_or(self.body.len() as u64, |blob| blob.len())
    }
}

/// A message that is kept: cheap to clone, one allocation for a small one.
#[derive(Clone, Debug)]
pub struct Message(Repr);

#[derive(Clone, Debug)]
enum Repr {
    /// Header, names, properties and body in one allocation. `Bytes` counts references only once there is a second one.
    Small(Bytes),
    /// The same as a slice of something larger, which stays as long as any slice of it.
    Part(Bytes),
    Large(Arc<Large>),
}

#[derive(Debug)]
struct Large {
    /// Header, names and properties.
    head: Box<[u8]>,
    body: LargeBody,
}

#[derive(Debug)]
enum LargeBody {
    Shared(Bytes),
    Blob(Blob),
}

/// Length of the header: exchange's length, routing key's length (a byte each), properties' length (u32, little endian).
const HEADER_BYTES: usize = 6;

impl Message {
    /// Copies `parts`; a body that is shareable and large is shared instead.
    #[must_use]
    pub fn copy_of(parts: &Parts<'_>) -> Self {
        let names_len = parts.exchange.len() + parts.routing_key.len();
        let head_len = HEADER_BYTES + names_len + parts.properties.len();
        if parts.body.len() >= SHARED_BODY_BYTES_MIN || parts.blob.is_some() {
            let mut head = Vec::with_capacity(head_len);
            write_head(&mut head, parts);
            let body = match (parts.blob, parts.shared_body) {
                (Some(blob), _) => LargeBody::Blob(Blob::clone(blob)),
                (None, Some(shared)) => LargeBody::Shared(Bytes::clone(shared)),
                (None, None) => LargeBody::Shared(Bytes::copy_from_slice(parts.body)),
            };
            return Self(Repr::Large(Arc::new(Large { head: head.into(), body })));
        }
        let mut whole = Vec::with_capacity(head_len + parts.body.len());
        write_whole(&mut whole, parts);
        Self(Repr::Small(whole.into()))
    }

    /// A message that is a part of something larger in memory, which stays there as long as the message does. Laid out as
    /// [`Message::copy_of`] does it: length of the exchange's name and of the routing key (u8), of the properties (u32, little
    /// endian), then exchange, routing key, properties and body. `None` when it is not.
    #[must_use]
    pub fn part_of(whole: Bytes) -> Option<Self> {
        let (&[exchange, routing_key, p0, p1, p2, p3], rest) = whole.split_first_chunk::<HEADER_BYTES>()?;
        let names_len = usize::from(exchange) + usize::from(routing_key);
        let head_len = names_len.checked_add(u32::from_le_bytes([p0, p1, p2, p3]) as usize)?;
        (head_len <= rest.len()).then_some(Self(Repr::Part(whole)))
    }

    /// The parts of the message.
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        match &self.0 {
            Repr::Small(whole) | Repr::Part(whole) => split(whole),
            Repr::Large(large) => match &large.body {
                LargeBody::Shared(body) => Parts { body, shared_body: Some(body), ..split(&large.head) },
                LargeBody::Blob(blob) => Parts { blob: Some(blob), ..split(&large.head) },
            },
        }
    }

    /// Bytes of the body, wherever it is.
    #[must_use]
    pub fn body_len(&self) -> u64 {
        self.parts().body_len()
    }

    /// Whether it is a part of something larger in memory.
    #[cfg(test)]
    pub(crate) fn is_part(&self) -> bool {
        matches!(self.0, Repr::Part(_))
    }

    /// The message without what it may be a part of, for somebody who keeps it for long.
    #[must_use]
    pub fn alone(&self) -> Self {
        match &self.0 {
            Repr::Part(_) => Self::copy_of(&self.parts()),
            _ => self.clone(),
        }
    }

    /// Whether other queues or consumers keep it too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        match &self.0 {
            Repr::Small(whole) => !whole.is_unique(),
            Repr::Part(_) => false,
            Repr::Large(large) => Arc::strong_count(large) > 1,
        }
    }

    /// Bytes of the message that are in memory.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let bytes = match &self.0 {
            Repr::Small(whole) | Repr::Part(whole) => whole.len(),
            Repr::Large(large) => match &large.body {
                LargeBody::Shared(body) => large.head.len() + body.len(),
                LargeBody::Blob(_) => large.head.len(),
            },
        };
        bytes as u64
    }
}

/// Appends a message that is kept in one piece.
fn write_whole(out: &mut Vec<u8>, parts: &Parts<'_>) {
    write_head(out, parts);
    out.extend_from_slice(parts.body);
}

/// Appends header, names and properties.
fn write_head(out: &mut Vec<u8>, parts: &Parts<'_>) {
    // Names come out of short strings, so that their lengths fit; a frame's payload fits 32 bits.
    let byte = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    let [p0, p1, p2, p3] = u32::try_from(parts.properties.len()).unwrap_or(u32::MAX).to_le_bytes();
    for piece in [
        &[byte(parts.exchange), byte(parts.routing_key), p0, p1, p2, p3],
        parts.exchange,
        parts.routing_key,
        parts.properties,
    ] {
        out.extend_from_slice(piece);
    }
}

/// The parts of a head; what follows it is the body.
fn split(head: &[u8]) -> Parts<'_> {
    let Some((&[exchange, routing_key, p0, p1, p2, p3], rest)) = head.split_first_chunk::<HEADER_BYTES>() else {
        return Parts { exchange: &[], routing_key: &[], properties: &[], body: &[], shared_body: None, blob: None };
    };
    let (exchange, rest) = cut(rest, usize::from(exchange));
    let (routing_key, rest) = cut(rest, usize::from(routing_key));
    let (properties, body) = cut(rest, u32::from_le_bytes([p0, p1, p2, p3]) as usize);
    Parts { exchange, routing_key, properties, body, shared_body: None, blob: None }
}

fn cut(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(at).unwrap_or((bytes, &[]))
}

/// A message on its way in. It is copied out of the read buffer only when somebody keeps it.
#[derive(Debug)]
pub struct Incoming<'a> {
    source: Source<'a>,
    kept: Option<Message>,
}

#[derive(Debug)]
enum Source<'a> {
    Borrowed { exchange: &'a [u8], routing_key: &'a [u8], properties: &'a [u8], body: &'a [u8], shared: Option<Bytes> },
    Kept,
}

impl<'a> Incoming<'a> {
    /// A message whose parts lie in the read buffer; `shared` is the body again when it may be shared.
    #[must_use]
    pub fn borrowed(
        exchange: &'a [u8],
        routing_key: &'a [u8],
        properties: &'a [u8],
        body: &'a [u8],
        shared: Option<Bytes>,
    ) -> Self {
        Self { source: Source::Borrowed { exchange, routing_key, properties, body, shared }, kept: None }
    }

    /// A message that was put together from several reads, or held back by a transaction.
    #[must_use]
    pub fn kept(message: Message) -> Self {
        Self { source: Source::Kept, kept: Some(message) }
    }

    /// The parts of the message.
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        match (&self.source, &self.kept) {
            (Source::Borrowed { exchange, routing_key, properties, body, shared }, _) => {
                Parts { exchange, routing_key, properties, body, shared_body: shared.as_ref(), blob: None }
            }
            (Source::Kept, Some(message)) => message.parts(),
            (Source::Kept, None) => split(&[]),
        }
    }

    /// Bytes of the form to keep, if it is not made yet and will be in one piece.
    pub(crate) fn whole_bytes(&self) -> Option<usize> {
        let parts = self.parts();
        let is_whole = self.kept.is_none() && parts.body.len() < SHARED_BODY_BYTES_MIN;
        is_whole.then(|| {
            HEADER_BYTES + parts.exchange.len() + parts.routing_key.len() + parts.properties.len() + parts.body.len()
        })
    }

    /// Appends the form to keep.
    pub(crate) fn write_whole(&self, out: &mut Vec<u8>) {
        write_whole(out, &self.parts());
    }

    /// Takes the form to keep, which was written before.
    pub(crate) fn set_kept(&mut self, whole: Bytes) {
        self.kept = Some(Message(Repr::Part(whole)));
    }

    /// The message in the form to keep, for one who is alone with it: nothing is left here.
    pub fn take(&mut self) -> Message {
        self.kept.take().unwrap_or_else(|| Message::copy_of(&self.parts()))
    }

    /// The message in the form to keep: made once, shared by all who keep it.
    pub fn keep(&mut self) -> Message {
        if let Some(message) = &self.kept {
            return message.clone();
        }
        let message = Message::copy_of(&self.parts());
        self.kept = Some(message.clone());
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<'a>(body: &'a [u8], shared: Option<&'a Bytes>) -> Parts<'a> {
        Parts { exchange: b"logs", routing_key: b"a.b", properties: &[0, 0], body, shared_body: shared, blob: None }
    }

    #[test]
    fn small_message_round_trips() {
        let message = Message::copy_of(&parts(b"hello", None));
        let got = message.parts();
        assert_eq!(
            (got.exchange, got.routing_key, got.properties, got.body),
            (&b"logs"[..], &b"a.b"[..], &[0, 0][..], &b"hello"[..])
        );
        assert!(got.shared_body.is_none());
    }

    #[test]
    fn part_of_a_buffer_is_checked() {
        let page = Bytes::from_static(b"?\x04\x03\x02\0\0\0logsa.b\0\0hello?");
        let message = Message::part_of(page.slice(1..page.len() - 1)).unwrap();
        let (got, copy) = (message.parts(), Message::copy_of(&parts(b"hello", None)));
        assert_eq!((got.exchange, got.routing_key, got.properties, got.body), {
            let copied = copy.parts();
            (copied.exchange, copied.routing_key, copied.properties, copied.body)
        });
        assert!(got.body.as_ptr() > page.as_ptr());
        for cut in 1..page.len() - 6 {
            let whole = Message::part_of(page.slice(1..cut));
            assert_eq!(whole.is_some(), cut >= 1 + HEADER_BYTES + 9, "cut at {cut}");
        }
    }

    #[test]
    fn medium_message_round_trips() {
        let body = vec![3; 2000];
        let message = Message::copy_of(&parts(&body, None));
        assert_eq!(message.body_len(), 2000);
        assert_eq!((message.parts().routing_key, message.parts().body), (&b"a.b"[..], &body[..]));
    }

    #[test]
    fn large_body_is_shared_not_copied() {
        let body = Bytes::from(vec![7; SHARED_BODY_BYTES_MIN]);
        let message = Message::copy_of(&parts(&body, Some(&body)));
        let got = message.parts();
        assert_eq!(got.body.as_ptr(), body.as_ptr());
        assert_eq!(got.routing_key, b"a.b");
    }

    /// A body of which only the length is known.
    #[derive(Debug)]
    struct OnDisk(u64);

    impl crate::journal::StoredBlob for OnDisk {
        fn id(&self) -> u64 {
            1
        }

        fn len(&self) -> u64 {
            self.0
        }

        fn read_at(&self, _offset: u64, _out: &mut [u8]) -> std::io::Result<()> {
            Err(std::io::ErrorKind::Unsupported.into())
        }
    }

    #[test]
    fn a_blob_takes_no_memory() {
        let head_bytes = HEADER_BYTES as u64 + 4 + 3 + 2;
        let blob: Blob = Arc::new(OnDisk(1 << 30));
        let on_disk = Message::copy_of(&Parts { blob: Some(&blob), ..parts(b"", None) });
        assert_eq!((on_disk.body_len(), on_disk.resident_bytes()), (1 << 30, head_bytes));
        let large = Message::copy_of(&parts(&vec![7; SHARED_BODY_BYTES_MIN], None));
        assert_eq!(large.resident_bytes(), head_bytes + SHARED_BODY_BYTES_MIN as u64);
        let small = Message::copy_of(&parts(b"hello", None));
        assert_eq!(small.resident_bytes(), head_bytes + 5);
    }

    #[test]
    fn incoming_is_copied_once() {
        let mut incoming = Incoming::borrowed(b"", b"q", &[0, 0], b"x", None);
        let first = incoming.keep();
        let second = incoming.keep();
        assert_eq!(first.parts().body.as_ptr(), second.parts().body.as_ptr());
    }
}
