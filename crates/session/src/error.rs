//! The two families of failures: those that close a channel and those that close the connection.

use leveret_codec::reply_code::ReplyCode;
use thiserror::Error;

use crate::limits::REPLY_TEXT_BYTES_MAX;

/// Why a channel or connection is closed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{} {} - {text}", code.code(), code.name())]
pub(crate) struct Close {
    pub(crate) code: ReplyCode,
    /// Without the code's name.
    pub(crate) text: String,
    /// Class and method that failed; zeros when none did.
    pub(crate) ids: (u16, u16),
}

impl Close {
    /// The text on the wire: the code's name before it, and cut to what a short string holds.
    pub(crate) fn reply_text(&self) -> String {
        let mut text = format!("{} - {}", self.code.name(), self.text);
        if text.len() > REPLY_TEXT_BYTES_MAX {
            let mut end = REPLY_TEXT_BYTES_MAX - 3;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text.push_str("...");
        }
        text
    }
}

/// What went wrong.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Closes the channel.
    #[error("channel: {0}")]
    Channel(Close),
    /// Closes the connection.
    #[error("connection: {0}")]
    Connection(Close),
    /// Closes the connection; what follows on it cannot be understood and is not read.
    #[error("connection: {0}")]
    Fatal(Close),
}

impl Failure {
    /// The failure that `code` stands for: hard ones close the connection.
    pub(crate) fn new(code: ReplyCode, text: impl Into<String>, ids: (u16, u16)) -> Self {
        let close = Close { code, text: text.into(), ids };
        if code.is_hard() { Self::Connection(close) } else { Self::Channel(close) }
    }

    /// A failure of no particular method.
    pub(crate) fn frame(code: ReplyCode, text: impl Into<String>) -> Self {
        Self::new(code, text, (0, 0))
    }
}

/// Gives an engine's refusal the method that it answers.
pub(crate) trait Refused<T> {
    fn refused(self, ids: (u16, u16)) -> Result<T, Failure>;
}

impl<T> Refused<T> for Result<T, leveret_engine::error::Error> {
    fn refused(self, ids: (u16, u16)) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(error.reply_code(), error.to_string(), ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_255_bytes() {
        let close = Close { code: ReplyCode::NotFound, text: "é".repeat(200), ids: (0, 0) };
        let text = close.reply_text();
        assert!(text.len() <= 255 && text.len() > 250);
        assert!(text.starts_with("NOT_FOUND - é") && text.ends_with("..."));
    }
}
