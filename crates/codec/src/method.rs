//! Methods: one struct each, and the [`Method`] that can be any of them.
//!
//! Fields have the protocol's names with `_` for `-`; those that are reserved exist on the wire only. Short strings are
//! `&str` in methods without content, where RabbitMQ insists on UTF-8, and bytes in those with content, where it does
//! not look.

mod access;
mod any;
mod basic;
mod channel;
mod confirm;
mod connection;
mod exchange;
mod queue;
mod tx;

use std::fmt::Display;
use thiserror::Error;

use crate::erlang::Octets;
use crate::read::{Fault, Parsed};

pub use access::*;
pub use any::Method;
pub use basic::*;
pub use channel::*;
pub use confirm::*;
pub use connection::*;
pub use exchange::*;
pub use queue::*;
pub use tx::*;

/// Class and method number at the beginning of a payload.
const METHOD_IDS_SIZE: usize = 4;

/// How many octets of arguments an error text shows: more than fit into a reply text, which then ends as cut.
const SHOWN_SIZE_MAX: usize = 255;

/// Why a payload is not a method.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum MethodError {
    /// No method has these numbers.
    #[error("unknown method {class_id}.{method_id}")]
    Unknown {
        /// Class number as sent.
        class_id: u16,
        /// Method number as sent.
        method_id: u16,
    },
    /// The arguments end early, or bytes are left over. [`MethodError::explain`] has RabbitMQ's text for it.
    #[error("cannot decode the arguments")]
    Malformed,
    /// A short string that must be UTF-8 is not.
    #[error("Malformed UTF-8 in shortstr")]
    NotUtf8,
}

impl<'a> Method<'a> {
    /// Decodes the payload of a method frame.
    ///
    /// Tables among the arguments are not looked into: see [`crate::table::TableRef::check`].
    ///
    /// # Errors
    /// [`MethodError`] when the method is unknown or its arguments are not exactly what it takes.
    #[inline(always)]
    pub fn decode(payload: &'a [u8]) -> Result<Self, MethodError> {
        let Some((&[class_1, class_0, method_1, method_0], arguments)) = payload.split_first_chunk() else {
            return Err(MethodError::Malformed);
        };
        let ids = (u16::from_be_bytes([class_1, class_0]), u16::from_be_bytes([method_1, method_0]));
        // What a broker decodes once a message is inlined into the caller: the fields then stay in registers, while
        // copies of a method just written would wait for the stores.
        match ids {
            BasicPublish::IDS => finish(BasicPublish::parse(arguments)),
            BasicAck::IDS => finish(BasicAck::parse(arguments)),
            (class_id, method_id) => Self::decode_arguments(class_id, method_id, arguments),
        }
    }
}

impl MethodError {
    /// The text that RabbitMQ puts after `FRAME_ERROR - `, for the payload that did not decode. Of a long payload it is
    /// longer than a reply text can be, which RabbitMQ cuts to 255 characters like every other.
    pub fn explain(self, payload: &[u8]) -> impl Display {
        let arguments = payload.get(METHOD_IDS_SIZE..).unwrap_or_default();
        let shown = arguments.get(..SHOWN_SIZE_MAX).unwrap_or(arguments);
        std::fmt::from_fn(move |f| match self {
            Self::Malformed => write!(f, "cannot decode {}", Octets(shown)),
            Self::Unknown { .. } | Self::NotUtf8 => self.fmt(f),
        })
    }
}

/// Accepts arguments that were parsed to the end.
#[inline(always)]
fn finish<'a, M: Into<Method<'a>>>(parsed: Parsed<'a, M>) -> Result<Method<'a>, MethodError> {
    match parsed {
        Ok(([], method)) => Ok(method.into()),
        Err(nom::Err::Failure(Fault::NotUtf8)) => Err(MethodError::NotUtf8),
        Ok(_) | Err(_) => Err(MethodError::Malformed),
    }
}
