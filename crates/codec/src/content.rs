//! The content header: `class:u16 weight:u16 body-size:u64` and the properties.

use thiserror::Error;

use crate::frame::{FrameKind, begin_frame, end_frame};
use crate::properties::{PropertiesError, PropertiesRef};
use crate::read::{Parsed, longlong, short};
use crate::write::{put_longlong, put_short};

/// What precedes the bodies of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContentHeader<'a> {
    /// Class of the method that the content belongs to: 60.
    pub class_id: u16,
    /// Unused, 0.
    pub weight: u16,
    /// Size of all bodies together in bytes.
    pub body_size: u64,
    /// The properties.
    pub properties: PropertiesRef<'a>,
}

/// The fixed fields of a content header; the properties are not checked yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContentPrefix<'a> {
    /// Class of the method that the content belongs to: 60.
    pub class_id: u16,
    /// Unused, 0.
    pub weight: u16,
    /// Size of all bodies together in bytes.
    pub body_size: u64,
    /// The rest of the payload, for [`PropertiesRef::parse`].
    pub properties_raw: &'a [u8],
}

/// Why a payload is not a content header.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ContentError {
    /// The fixed fields are not there.
    #[error("content header ends early")]
    Truncated,
    /// The properties do not decode.
    #[error(transparent)]
    Properties(#[from] PropertiesError),
}

impl<'a> ContentHeader<'a> {
    /// Decodes the payload of a header frame.
    ///
    /// # Errors
    /// [`ContentError`] when it is not exactly the fixed fields and the properties.
    #[inline(always)]
    pub fn parse(payload: &'a [u8]) -> Result<Self, ContentError> {
        Ok(Self::parse_prefix(payload)?.parse_properties()?)
    }

    /// Decodes the fixed fields only: what must be judged before the properties.
    ///
    /// # Errors
    /// [`ContentError::Truncated`].
    #[inline]
    pub fn parse_prefix(payload: &'a [u8]) -> Result<ContentPrefix<'a>, ContentError> {
        prefix(payload).map(|(_, prefix)| prefix).map_err(|_| ContentError::Truncated)
    }

    /// Appends the whole header frame.
    #[inline]
    pub fn write_frame(&self, channel: u16, out: &mut Vec<u8>) {
        let start = begin_frame(out, FrameKind::Header, channel);
        put_short(out, self.class_id);
        put_short(out, self.weight);
        put_longlong(out, self.body_size);
        out.extend_from_slice(self.properties.as_bytes());
        end_frame(out, start);
    }
}

impl<'a> ContentPrefix<'a> {
    /// Checks the properties.
    ///
    /// # Errors
    /// [`PropertiesError`].
    #[inline]
    pub fn parse_properties(self) -> Result<ContentHeader<'a>, PropertiesError> {
        let Self { class_id, weight, body_size, properties_raw } = self;
        let properties = PropertiesRef::parse(properties_raw)?;
        Ok(ContentHeader { class_id, weight, body_size, properties })
    }
}

#[inline(always)]
fn prefix(input: &[u8]) -> Parsed<'_, ContentPrefix<'_>> {
    let (input, class_id) = short(input)?;
    let (input, weight) = short(input)?;
    let (properties_raw, body_size) = longlong(input)?;
    Ok((&[], ContentPrefix { class_id, weight, body_size, properties_raw }))
}
