//! Messages: the parts as they come off the wire, and the form in which they are kept.

use std::sync::Arc;

use bytes::Bytes;
use leveret_codec::properties::PropertiesRef;

use crate::journal::Blob;
use crate::limits::SHARED_BODY_BYTES_MIN;

/// A time that never comes, and a life without end.
pub const NEVER_MS: u64 = u64::MAX;

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
    /// What the broker knows of its headers.
    pub marks: Marks,
}

/// What is known of a message's headers, and cannot be seen by them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u32);

impl Marks {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The broker wrote the x-death header: what a client puts there means nothing.
    pub const DEAD_LETTERED: Self = Self(1 << 31);
    /// There is a BCC header, which nobody may see: dead letters go by its keys.
    pub const BLIND_COPIES: Self = Self(1 << 30);
    /// The bits of a length that are marks. No frame is so long that its length needs them.
    const BITS: u32 = Self::DEAD_LETTERED.0 | Self::BLIND_COPIES.0;

    /// Takes a length apart that has marks in its highest bits.
    #[must_use]
    pub const fn split(len: u32) -> (u32, Self) {
        (len & !Self::BITS, Self(len & Self::BITS))
    }

    /// Puts the marks into a length.
    #[must_use]
    pub fn join(self, len: usize) -> u32 {
        u32::try_from(len).unwrap_or(u32::MAX) & !Self::BITS | self.0
    }

    /// Whether this mark is there.
    #[must_use]
    pub const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// These and another one.
    #[must_use]
    pub const fn with(self, mark: Self) -> Self {
        Self(self.0 | mark.0)
    }
}

impl Parts<'_> {
    /// Those of a message of which there is nothing.
    pub const EMPTY: Parts<'static> = Parts {
        exchange: &[],
        routing_key: &[],
        properties: &[],
        body: &[],
        shared_body: None,
        blob: None,
        marks: Marks::NONE,
    };

    /// Bytes of the body, wherever it is.
    #[must_use]
    pub fn body_len(&self) -> u64 {
        self.blob.map_or(self.body.len() as u64, |blob| blob.len())
    }

    /// How long the message may live by its own property expiration; [`NEVER_MS`] when it does not say.
    #[must_use]
    pub fn expiration_ms(&self) -> u64 {
        let text = PropertiesRef::from_checked(self.properties).expiration();
        text.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok()).unwrap_or(NEVER_MS)
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

/// Length of the header: exchange's length, routing key's length (a byte each), properties' length with [`Marks`] (u32, little
/// endian).
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
    /// endian, with [`Marks`]), then exchange, routing key, properties and body. `None` when it is not.
    #[must_use]
    pub fn part_of(whole: Bytes) -> Option<Self> {
        let (&[exchange, routing_key, p0, p1, p2, p3], rest) = whole.split_first_chunk::<HEADER_BYTES>()?;
        let names_len = usize::from(exchange) + usize::from(routing_key);
        let (properties_len, _) = Marks::split(u32::from_le_bytes([p0, p1, p2, p3]));
        let head_len = names_len.checked_add(properties_len as usize)?;
        (head_len <= rest.len()).then_some(Self(Repr::Part(whole)))
    }

    /// The parts of the message.
    #[inline(always)]
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
    #[inline]
    #[must_use]
    pub fn body_len(&self) -> u64 {
        match &self.0 {
            Repr::Small(whole) | Repr::Part(whole) => whole.len().saturating_sub(head_len(whole)) as u64,
            Repr::Large(large) => match &large.body {
                LargeBody::Shared(body) => body.len() as u64,
                LargeBody::Blob(blob) => blob.len(),
            },
        }
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
    // Most names come out of short strings. Others are cut: arguments of queues may have longer ones.
    let short = |name: &'_ [u8]| u8::try_from(name.len()).unwrap_or(u8::MAX);
    let (exchange, routing_key) = (short(parts.exchange), short(parts.routing_key));
    // A frame's payload fits 32 bits.
    let [p0, p1, p2, p3] = parts.marks.join(parts.properties.len()).to_le_bytes();
    for piece in [
        &[exchange, routing_key, p0, p1, p2, p3],
        cut(parts.exchange, usize::from(exchange)).0,
        cut(parts.routing_key, usize::from(routing_key)).0,
        parts.properties,
    ] {
        out.extend_from_slice(piece);
    }
}

/// Bytes of header, names and properties.
#[inline]
fn head_len(whole: &[u8]) -> usize {
    let Some(&[exchange, routing_key, p0, p1, p2, p3]) = whole.first_chunk::<HEADER_BYTES>() else {
        return whole.len();
    };
    let (properties_len, _) = Marks::split(u32::from_le_bytes([p0, p1, p2, p3]));
    HEADER_BYTES + usize::from(exchange) + usize::from(routing_key) + properties_len as usize
}

/// The parts of a head; what follows it is the body.
#[inline(always)]
fn split(head: &[u8]) -> Parts<'_> {
    let Some((&[exchange, routing_key, p0, p1, p2, p3], rest)) = head.split_first_chunk::<HEADER_BYTES>() else {
        return Parts::EMPTY;
    };
    let (exchange, rest) = cut(rest, usize::from(exchange));
    let (routing_key, rest) = cut(rest, usize::from(routing_key));
    let (properties_len, marks) = Marks::split(u32::from_le_bytes([p0, p1, p2, p3]));
    let (properties, body) = cut(rest, properties_len as usize);
    Parts { exchange, routing_key, properties, body, shared_body: None, blob: None, marks }
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
    #[inline(always)]
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        match (&self.source, &self.kept) {
            (Source::Borrowed { exchange, routing_key, properties, body, shared }, _) => {
                let shared_body = shared.as_ref();
                Parts { exchange, routing_key, properties, body, shared_body, blob: None, marks: Marks::NONE }
            }
            (Source::Kept, Some(message)) => message.parts(),
            (Source::Kept, None) => split(&[]),
        }
    }

    /// Bytes of the body, wherever it is.
    #[inline]
    #[must_use]
    pub fn body_len(&self) -> u64 {
        match (&self.source, &self.kept) {
            (Source::Borrowed { body, .. }, _) => body.len() as u64,
            (Source::Kept, Some(message)) => message.body_len(),
            (Source::Kept, None) => 0,
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
        let properties = &[0, 0];
        Parts { exchange: b"logs", routing_key: b"a.b", properties, body, shared_body: shared, ..Parts::EMPTY }
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
    fn marks_are_kept_in_all_forms() {
        let marks = Marks::DEAD_LETTERED.with(Marks::BLIND_COPIES);
        assert!(!Marks::DEAD_LETTERED.has(Marks::BLIND_COPIES) && marks.has(Marks::BLIND_COPIES));
        let large = vec![7; SHARED_BODY_BYTES_MIN];
        for body in [&b"hello"[..], &large] {
            let message = Message::copy_of(&Parts { marks, ..parts(body, None) });
            let got = message.parts();
            assert_eq!((got.marks, got.properties, got.body), (marks, &[0, 0][..], body));
            assert_eq!(message.alone().parts().marks, marks);
        }
        let mut whole = Vec::new();
        write_whole(&mut whole, &Parts { marks, ..parts(b"x", None) });
        let part = Message::part_of(whole.into()).unwrap();
        assert_eq!((part.parts().marks, part.alone().parts().marks), (marks, marks));
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
