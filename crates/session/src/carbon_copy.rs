//! The CC and BCC headers: more routing keys for a message (RabbitMQ, sender-selected distribution).

use leveret_codec::properties::PropertiesRef;
use leveret_codec::table::{FieldTable, FieldValue, TableRef};
use leveret_engine::error::Error;
use leveret_engine::message::{Marks, Message, Parts};

const CC: &str = "CC";
const BCC_NAME: &str = "BCC";
/// The header that nobody may see.
pub(crate) const BCC: &[u8] = BCC_NAME.as_bytes();

/// Routing keys from the headers.
#[derive(Debug, Default)]
pub(crate) struct CarbonCopies {
    keys: Vec<Box<[u8]>>,
    has_blind: bool,
}

impl CarbonCopies {
    /// Reads both headers; members that are no strings are skipped.
    pub(crate) fn read(properties: PropertiesRef<'_>) -> Result<Self, Error> {
        let Some(headers) = properties.headers() else { return Ok(Self::default()) };
        let mut copies = Self::default();
        copies.add(headers, CC)?;
        copies.has_blind = copies.add(headers, BCC_NAME)?;
        Ok(copies)
    }

    fn add(&mut self, headers: TableRef<'_>, header: &'static str) -> Result<bool, Error> {
        let Some(raw) = headers.get_raw(header.as_bytes()) else { return Ok(false) };
        match raw.decode() {
            Ok(FieldValue::Array(members)) => {
                self.keys.extend(members.into_iter().filter_map(|member| match member {
                    FieldValue::LongStr(key) => Some(key),
                    _ => None,
                }));
                Ok(true)
            }
            _ => Err(Error::BadCarbonCopy { header, type_name: raw.type_name() }),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.has_blind
    }

    pub(crate) fn has_blind(&self) -> bool {
        self.has_blind
    }

    /// All routing keys: the publish's own first.
    pub(crate) fn keys<'k>(&'k self, own: &'k [u8]) -> Vec<&'k [u8]> {
        std::iter::once(own).chain(self.keys.iter().map(|key| &**key)).collect()
    }
}

/// The message with a mark that its BCC header is to be left out wherever it is written.
pub(crate) fn hiding_blind_copies(parts: &Parts<'_>) -> Message {
    Message::copy_of(&Parts { marks: parts.marks.with(Marks::BLIND_COPIES), ..*parts })
}

/// The message without its BCC header.
pub(crate) fn without_blind_copies(parts: &Parts<'_>) -> Message {
    let mut encoded = Vec::new();
    // The headers were read just before, so that they can be decoded.
    if let Ok(mut properties) = PropertiesRef::from_checked(parts.properties).to_owned() {
        if let Some(FieldTable(entries)) = &mut properties.headers {
            entries.retain(|(key, _)| &**key != BCC);
        }
        properties.encode(&mut encoded);
    }
    Message::copy_of(&Parts { properties: &encoded, ..*parts })
}
