//! Names and numbers that must not be mixed up.

use std::sync::Arc;

/// The name of a queue, exchange, vhost, user or consumer.
pub type Name = Arc<str>;

/// A connection, unique while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// A queue, unique in a broker: a queue that is deleted and declared again has another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub u64);

/// A consumer of one queue. The serial tells it from an earlier consumer in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerKey {
    /// Place in the queue's list of consumers.
    pub slot: u32,
    /// Counts the consumers that the queue ever had.
    pub serial: u32,
}

/// `prefix` and 22 characters of URL-safe base64 made from 16 random bytes, as RabbitMQ names queues (`amq.gen-`) and
/// consumers (`amq.ctag-`).
#[must_use]
pub fn generated_name(prefix: &str, random: [u8; 16]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut name = String::with_capacity(prefix.len() + 22);
    name.push_str(prefix);
    let bits = u128::from_be_bytes(random);
    for step in 0..22u32 {
        let shift = i64::from(128) - 6 * (i64::from(step) + 1);
        let index = if shift >= 0 { bits >> shift } else { bits << -shift } & 63;
        let letter = usize::try_from(index).ok().and_then(|i| ALPHABET.get(i));
        name.push(char::from(*letter.unwrap_or(&b'A')));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_url_safe_base64() {
        assert_eq!(generated_name("amq.gen-", [0; 16]), format!("amq.gen-{}", "A".repeat(22)));
        assert_eq!(generated_name("", [0xff; 16]), format!("{}w", "_".repeat(21)));
        let mut one = [0; 16];
        one[15] = 1;
        assert_eq!(generated_name("", one), format!("{}Q", "A".repeat(21)));
    }
}
