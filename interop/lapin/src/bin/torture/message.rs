//! What is published: everything about a message follows from its number, so that whatever comes back can be checked.

use std::sync::OnceLock;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use crate::random::Random;

/// The largest body.
pub const BODY_BYTES_MAX: usize = 5 << 20;
/// Queues, all durable. The places in this list are how the ledger speaks of them.
pub const QUEUES: [&str; 6] =
    ["torture.default", "torture.direct", "torture.fanout.a", "torture.fanout.b", "torture.topic", "torture.headers"];
pub const DIRECT: &str = "torture.x.direct";
pub const FANOUT: &str = "torture.x.fanout";
pub const TOPIC: &str = "torture.x.topic";
pub const HEADERS: &str = "torture.x.headers";
/// The header that the headers exchange looks at.
pub const ROUTING_HEADER: &str = "torture-route";

/// A message's name: who publishes it, and the how-manieth of its messages it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    pub producer: usize,
    pub number: usize,
}

impl Id {
    /// As it stands in `message_id`.
    pub fn text(self) -> String {
        format!("{}.{}", self.producer, self.number)
    }

    pub fn parse(text: &str) -> Option<Id> {
        let (producer, number) = text.split_once('.')?;
        Some(Id { producer: producer.parse().ok()?, number: number.parse().ok()? })
    }

    fn seed(self) -> u64 {
        Random::new((self.producer as u64) << 48 ^ self.number as u64).next()
    }
}

/// The way to the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Default,
    Direct,
    Fanout,
    Topic,
    Headers,
}

impl Route {
    pub fn random(random: &mut Random) -> Route {
        match random.below(5) {
            0 => Route::Default,
            1 => Route::Direct,
            2 => Route::Fanout,
            3 => Route::Topic,
            _ => Route::Headers,
        }
    }

    /// Exchange and routing key.
    pub fn address(self) -> (&'static str, &'static str) {
        match self {
            Route::Default => ("", "torture.default"),
            Route::Direct => (DIRECT, "straight"),
            Route::Fanout => (FANOUT, "ignored"),
            Route::Topic => (TOPIC, "a.message.z"),
            Route::Headers => (HEADERS, "ignored"),
        }
    }

    /// Places in [`QUEUES`].
    pub fn queues(self) -> &'static [usize] {
        match self {
            Route::Default => &[0],
            Route::Direct => &[1],
            Route::Fanout => &[2, 3],
            Route::Topic => &[4],
            Route::Headers => &[5],
        }
    }
}

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub id: Id,
    pub route: Route,
    pub body_bytes: usize,
    pub is_persistent: bool,
}

impl Sent {
    /// Draws a message: mostly small and persistent.
    pub fn random(id: Id, random: &mut Random) -> Sent {
        let (least, most) = match random.below(1_000) {
            0..20 => (0, 1),
            20..800 => (1, 1_024),
            800..960 => (1_024, 16 << 10),
            960..990 => (16 << 10, 300 << 10),
            990..998 => (250 << 10, 1 << 20),
            998 => (BODY_BYTES_MAX - 1, BODY_BYTES_MAX),
            _ => (1 << 20, BODY_BYTES_MAX),
        };
        let body_bytes = least + usize::try_from(random.below((most - least) as u64 + 1)).unwrap_or(0);
        Sent { id, route: Route::random(random), body_bytes, is_persistent: random.percent(92) }
    }

    /// The body: a piece of a fixed sea of random bytes.
    pub fn body(&self) -> &'static [u8] {
        let sea = sea();
        let room = (sea.len() - self.body_bytes) as u64;
        let start = usize::try_from(self.id.seed() % (room + 1)).unwrap_or(0);
        sea.get(start..start + self.body_bytes).unwrap_or_default()
    }

    /// The properties; some messages have them all.
    pub fn properties(&self) -> BasicProperties {
        const PERSISTENT: u8 = 2;
        const TRANSIENT: u8 = 1;
        let seed = self.id.seed();
        let mut headers = FieldTable::default();
        headers.insert(ROUTING_HEADER.into(), AMQPValue::LongString("this way".into()));
        headers.insert("seed".into(), AMQPValue::LongLongInt(seed.cast_signed()));
        let properties = BasicProperties::default()
            .with_message_id(self.id.text().into())
            .with_headers(headers)
            .with_delivery_mode(if self.is_persistent { PERSISTENT } else { TRANSIENT });
        if !seed.is_multiple_of(7) {
            return properties;
        }
        properties
            .with_content_type("application/octet-stream".into())
            .with_content_encoding("identity".into())
            .with_priority((seed % 10) as u8)
            .with_correlation_id(format!("{seed:x}").into())
            .with_reply_to("nobody".into())
            .with_timestamp(seed >> 24)
            .with_type("torture".into())
            .with_app_id("leveret".into())
    }
}

fn sea() -> &'static [u8] {
    const SEA_BYTES: usize = BODY_BYTES_MAX + (3 << 20);
    static SEA: OnceLock<Vec<u8>> = OnceLock::new();
    SEA.get_or_init(|| {
        let mut random = Random::new(0x5EA);
        (0..SEA_BYTES / 8).flat_map(|_| random.next().to_le_bytes()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_follows_from_its_number() {
        let id = Id { producer: 3, number: 77 };
        assert_eq!(Id::parse(&id.text()), Some(id));
        assert_eq!((Id::parse("3"), Id::parse("a.1"), Id::parse("")), (None, None, None));
        let (one, two) = (Sent::random(id, &mut Random::new(1)), Sent::random(id, &mut Random::new(1)));
        assert_eq!((one.body(), one.properties()), (two.body(), two.properties()));
        let next = Sent { id: Id { number: 78, ..id }, body_bytes: 64, ..one };
        assert_ne!(next.body(), Sent { body_bytes: 64, ..one }.body());
    }

    #[test]
    fn every_size_is_drawn() {
        let mut random = Random::new(7);
        let draw = |number| Sent::random(Id { producer: 0, number }, &mut random).body_bytes;
        let sizes: Vec<usize> = (0..20_000).map(draw).collect();
        assert!(sizes.contains(&0) && sizes.contains(&BODY_BYTES_MAX));
        assert!(sizes.iter().all(|size| *size <= BODY_BYTES_MAX));
        let small = sizes.iter().filter(|size| **size <= 16 << 10).count();
        assert!(small > 18_000, "mostly small: {small}");
    }
}
