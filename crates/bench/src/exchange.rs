//! What stands between producers and queues.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// What stands between producers and queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExchangeKind {
    /// The nameless exchange: the routing key names the queue.
    Default,
    /// Each queue bound by its name.
    Direct,
    /// Every queue gets every message.
    Fanout,
    /// Each queue bound by a pattern with a wildcard.
    Topic,
    /// Each queue bound by one header.
    Headers,
    /// A type that only the broker knows; each queue bound by its name.
    Other(String),
}

impl FromStr for ExchangeKind {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "default" => Self::Default,
            "direct" => Self::Direct,
            "fanout" => Self::Fanout,
            "topic" => Self::Topic,
            "headers" => Self::Headers,
            other => Self::Other(other.to_owned()),
        })
    }
}

impl fmt::Display for ExchangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
            Self::Other(name) => name,
        })
    }
}

impl Serialize for ExchangeKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_written_as_it_is_read() {
        for name in ["default", "direct", "fanout", "topic", "headers", "x-random"] {
            let kind: ExchangeKind = name.parse().unwrap();
            assert_eq!(kind.to_string(), name);
            assert_eq!(matches!(kind, ExchangeKind::Other(_)), name == "x-random");
        }
    }
}
