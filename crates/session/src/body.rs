//! A body that comes frame by frame, in memory or on its way to wherever large ones are kept.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use leveret_engine::journal::{Blob, BlobStore, BlobWriter};

use crate::limits::{BLOB_GATHER_BYTES, BLOB_SLICE_BYTES_MIN};

/// What has come of a body. Room is taken for that, never for what was announced.
pub(crate) enum Body {
    /// It stays in memory.
    Memory(BytesMut),
    /// It is too large for that.
    Large(LargeBody),
}

/// A large body. Dropped before it is whole, it leaves nothing behind.
pub(crate) struct LargeBody {
    store: Arc<dyn BlobStore>,
    /// None before the first byte.
    writer: Option<Box<dyn BlobWriter>>,
    /// Small pieces, copied together.
    gathered: BytesMut,
    len: u64,
}

/// A body of which everything has come.
pub(crate) enum WholeBody {
    Memory(Bytes),
    Blob(Blob),
}

impl Body {
    /// Nothing of a body yet; one that belongs to `store` if there is one.
    pub(crate) fn new(store: Option<Arc<dyn BlobStore>>) -> Self {
        match store {
            None => Self::Memory(BytesMut::new()),
            Some(store) => Self::Large(LargeBody { store, writer: None, gathered: BytesMut::new(), len: 0 }),
        }
    }

    /// Bytes that have come.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(body) => body.len() as u64,
            Self::Large(body) => body.len,
        }
    }

    /// Adds what lies in `chunk` at `at`.
    pub(crate) fn push(&mut self, chunk: &Bytes, at: std::ops::Range<usize>) {
        let piece = chunk.get(at.clone()).unwrap_or_default();
        match self {
            Self::Memory(body) => body.extend_from_slice(piece),
            Self::Large(body) if piece.len() >= BLOB_SLICE_BYTES_MIN => {
                body.pass_on_gathered();
                body.len += piece.len() as u64;
                body.writer().append(chunk.slice(at));
            }
            Self::Large(body) => {
                body.len += piece.len() as u64;
                body.gathered.extend_from_slice(piece);
                if body.gathered.len() >= BLOB_GATHER_BYTES {
                    body.pass_on_gathered();
                }
            }
        }
    }

    /// All has come.
    pub(crate) fn finish(self) -> WholeBody {
        match self {
            Self::Memory(body) => WholeBody::Memory(body.freeze()),
            Self::Large(mut body) => {
                body.pass_on_gathered();
                let writer = body.writer.take().unwrap_or_else(|| body.store.create());
                WholeBody::Blob(writer.finish())
            }
        }
    }
}

impl LargeBody {
    fn writer(&mut self) -> &mut Box<dyn BlobWriter> {
        self.writer.get_or_insert_with(|| self.store.create())
    }

    fn pass_on_gathered(&mut self) {
        if !self.gathered.is_empty() {
            let gathered = std::mem::take(&mut self.gathered).freeze();
            self.writer().append(gathered);
        }
    }
}
