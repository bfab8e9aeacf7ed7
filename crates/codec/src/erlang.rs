//! Erlang's text form of terms, which RabbitMQ's error texts contain.
//!
//! `~p` breaks lines at 80 columns, and RabbitMQ sends the line breaks along. The texts of [`crate::frame::FrameError`]
//! have them too; a [`Binary`] alone does not know its column and never breaks.

use std::fmt::{self, Display, Formatter, Write};

/// Erlang counts a line as full one column before the 80th, so a term may end here at the latest.
const COLUMN_MAX: usize = 78;

/// Shows bytes as Erlang's `~p` does: `<<"text">>` when every byte is printable, else `<<1,2,3>>`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Binary<'a>(pub &'a [u8]);

/// Shows bytes as Erlang's `~w` does: always as numbers, `<<1,2,3>>`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Octets<'a>(pub &'a [u8]);

impl Display for Binary<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() || !self.0.iter().all(|&byte| is_printable(byte)) {
            return Octets(self.0).fmt(f);
        }
        f.write_str("<<\"")?;
        for &byte in self.0 {
            write_escaped(byte, f)?;
        }
        f.write_str("\">>")
    }
}

impl Display for Octets<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<<")?;
        for (position, byte) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_char(',')?;
            }
            write!(f, "{byte}")?;
        }
        f.write_str(">>")
    }
}

/// Text in which terms are laid out as `~p` lays them out.
pub(crate) struct Page<'f, 'b> {
    out: &'f mut Formatter<'b>,
    column: usize,
}

impl<'f, 'b> Page<'f, 'b> {
    pub(crate) fn new(out: &'f mut Formatter<'b>) -> Self {
        Self { out, column: 0 }
    }

    /// Text without a line break.
    pub(crate) fn text(&mut self, text: &str) -> fmt::Result {
        self.column += text.chars().count();
        self.out.write_str(text)
    }

    /// A binary. One that does not fit the line is broken after a comma.
    pub(crate) fn binary(&mut self, bytes: &[u8]) -> fmt::Result {
        let whole = Binary(bytes).to_string();
        let is_text = whole.starts_with("<<\"");
        if is_text || self.column + whole.chars().count() <= COLUMN_MAX {
            return self.text(&whole);
        }
        self.text("<<")?;
        let margin = self.column;
        for (position, byte) in bytes.iter().enumerate() {
            let number = byte.to_string();
            if position > 0 {
                self.text(",")?;
                if self.column + number.len() > COLUMN_MAX {
                    self.new_line(margin)?;
                }
            }
            self.text(&number)?;
        }
        self.text(">>")
    }

    /// A tuple of an atom and a number. One that does not fit the line is broken after the atom.
    pub(crate) fn pair(&mut self, atom: &str, number: u8) -> fmt::Result {
        let whole = format!("{{{atom},{number}}}");
        if self.column + whole.len() <= COLUMN_MAX {
            return self.text(&whole);
        }
        let margin = self.column + 1;
        self.text("{")?;
        self.text(atom)?;
        self.text(",")?;
        self.new_line(margin)?;
        self.text(&format!("{number}}}"))
    }

    fn new_line(&mut self, margin: usize) -> fmt::Result {
        self.column = margin;
        write!(self.out, "\n{:margin$}", "")
    }
}

/// Erlang's default range of printable characters is Latin-1 with the usual white space.
fn is_printable(byte: u8) -> bool {
    matches!(byte, 8..=13 | 27 | 32..=126 | 160..)
}

fn write_escaped(byte: u8, f: &mut Formatter<'_>) -> fmt::Result {
    match byte {
        8 => f.write_str("\\b"),
        9 => f.write_str("\\t"),
        10 => f.write_str("\\n"),
        11 => f.write_str("\\v"),
        12 => f.write_str("\\f"),
        13 => f.write_str("\\r"),
        27 => f.write_str("\\e"),
        b'"' => f.write_str("\\\""),
        b'\\' => f.write_str("\\\\"),
        _ => f.write_char(char::from(byte)),
    }
}
