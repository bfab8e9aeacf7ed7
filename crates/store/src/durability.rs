//! What a confirm promises.

use std::fmt;
use std::str::FromStr;

/// What has happened to a message, or to a declaration, when its confirm goes out.
///
/// In every mode what is confirmed outlives the end of the broker's process, however it ends. The modes differ in what a
/// power cut or a crash of the operating system takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// `fsync`: confirmed means that `fdatasync` returned after it was written. A power cut loses nothing that was confirmed.
    /// All confirms that arrive during one `fdatasync` share the next one.
    #[default]
    Fsync,
    /// `interval=MS`: confirmed means written to the operating system; `fdatasync` follows every `ms` milliseconds. A power cut
    /// may lose what was confirmed during the last `ms` milliseconds and the `fdatasync` after them.
    Interval {
        /// Milliseconds between two calls of `fdatasync`; at least 1.
        ms: u64,
    },
    /// `os`: confirmed means written to the operating system, which writes to the disk when it likes. A power cut may lose
    /// whatever was confirmed since the last change of journal files, often half a minute.
    Os,
}

/// A text that names no mode of durability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("durability is one of fsync, interval=MS (MS at least 1) and os, not {0:?}")]
pub struct DurabilityParseError(pub String);

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fsync => f.write_str("fsync"),
            Self::Interval { ms } => write!(f, "interval={ms}"),
            Self::Os => f.write_str("os"),
        }
    }
}

impl FromStr for Durability {
    type Err = DurabilityParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || DurabilityParseError(text.to_owned());
        match text {
            "fsync" => Ok(Self::Fsync),
            "os" => Ok(Self::Os),
            _ => {
                let ms = text.strip_prefix("interval=").and_then(|ms| ms.parse().ok()).ok_or_else(refused)?;
                if ms == 0 { Err(refused()) } else { Ok(Self::Interval { ms }) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for (text, mode) in
            [("fsync", Durability::Fsync), ("interval=20", Durability::Interval { ms: 20 }), ("os", Durability::Os)]
        {
            assert_eq!(text.parse(), Ok(mode));
            assert_eq!(mode.to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_choice() {
        for text in ["", "Fsync", "interval", "interval=", "interval=0", "interval=-1", "interval=1s"] {
            let error = text.parse::<Durability>().unwrap_err().to_string();
            assert!(error.contains("interval=MS") && error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
