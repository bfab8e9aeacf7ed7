//! The AMQP 0-9-1 wire format as RabbitMQ speaks it: frames, methods, content headers, properties, field tables.
//!
//! # The way of a frame
//! Bytes from a peer go to [`frame::split_frame`], which looks at the seven octets of the envelope, refuses what is too
//! large before it has arrived, and hands out the payload as a slice of the input. By the frame's kind the payload goes
//! to [`method::Method::decode`] or [`content::ContentHeader::parse`]; the payload of a body frame is the body itself
//! and is never looked at. Arguments and properties borrow from the payload. Field tables stay raw
//! ([`table::TableRef`]) until somebody asks for a key or for the whole. The other direction appends to a `Vec<u8>`:
//! [`method::Method::write_frame`], [`content::ContentHeader::write_frame`], [`frame::begin_frame`].
//!
//! ```
//! use leveret_codec::frame::split_frame;
//! use leveret_codec::method::{BasicAck, Method};
//!
//! let mut wire = Vec::new();
//! BasicAck { delivery_tag: 7, multiple: true }.write_frame(1, &mut wire);
//!
//! let frame = split_frame(&wire, 131_064)?.expect("the whole frame is there");
//! assert_eq!(frame.channel, 1);
//! assert!(matches!(Method::decode(frame.payload)?, Method::BasicAck(ack) if ack.delivery_tag == 7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Invariants
//! * No input makes this crate panic, recurse deeper than [`limits::TABLE_DEPTH_MAX`], or allocate by a length that a
//!   peer only announced. Decoding methods, headers and properties allocates nothing.
//! * What decodes encodes to the same bytes, but for what RabbitMQ normalises too: any true boolean becomes 1, the tag
//!   `L` becomes `l`, reserved fields become empty.
//! * Error texts are those that RabbitMQ sends, so that clients which look at them see nothing new.
//!
//! # Must not depend on
//! Sockets, files, clocks, tasks, or any other crate of this workspace. With the feature `tokio` the module `stream`
//! adds `tokio_util`'s decoder and encoder over whole frames; nothing else changes.
//!
//! `wire`, `method/*`, `properties/fields` and `reply_code` are generated from `spec/amqp-0-9-1.toml`.
#![forbid(unsafe_code)]

pub mod content;
pub mod erlang;
pub mod frame;
pub mod limits;
pub mod method;
pub mod properties;
pub mod protocol_header;
mod read;
pub mod reply_code;
#[cfg(feature = "tokio")]
pub mod stream;
pub mod table;
mod wire;
mod write;
