//! What a dead letter says of its deaths: the x-death header and those that go with it.

use leveret_codec::properties::{PropertiesEdit, PropertiesRef, Property};
use leveret_codec::table::{FieldTable, FieldValue, TableRef};

use crate::message::{Marks, Message, Parts};

/// Why a message left its queue for the dead-letter exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeathReason {
    /// A consumer rejected it for good.
    Rejected,
    /// It lived as long as it may.
    Expired,
    /// The queue was full.
    MaxLength,
    /// It came back too often.
    DeliveryLimit,
}

impl DeathReason {
    /// Its name in headers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLength => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

/// One death.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Death<'a> {
    /// The queue where it happened.
    pub(crate) queue: &'a str,
    pub(crate) reason: DeathReason,
    /// When: milliseconds since 1970.
    pub(crate) now_ms: u64,
}

/// The deaths of a message that the broker saw: an entry for each queue and reason, the most recent first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Deaths(Vec<FieldTable>);

const X_DEATH: &[u8] = b"x-death";
const FIRST_QUEUE: &[u8] = b"x-first-death-queue";

/// What a message becomes by a death.
pub(crate) struct DeadLetter {
    /// Published by [`Death::letter`]'s exchange and key, with the headers that tell of it.
    pub(crate) message: Message,
    /// The keys it is routed by.
    pub(crate) keys: Vec<Box<[u8]>>,
    pub(crate) deaths: Deaths,
}

impl Death<'_> {
    /// The dead letter that a message becomes, published to `exchange`: with `own_key`, or as the message was.
    pub(crate) fn letter(&self, parts: &Parts<'_>, exchange: &str, own_key: Option<&[u8]>) -> DeadLetter {
        let properties = PropertiesRef::from_checked(parts.properties);
        let mut deaths =
            if parts.marks.has(Marks::DEAD_LETTERED) { Deaths::read(properties) } else { Deaths::default() };
        let mut old_keys = keys(parts, properties, &deaths);
        let old_deaths_tell = deaths.tell_of(parts.routing_key);
        let first = if parts.marks.has(Marks::DEAD_LETTERED) { first_death(properties) } else { None };
        deaths.record(self, parts, properties.expiration(), &old_keys);
        let headers = self.headers(parts, &deaths, first);
        let (mut set, mut edited) = (Vec::new(), Vec::new());
        headers.encode(&mut set);
        let edit = PropertiesEdit { set: TableRef::from_raw(&set), remove: &[], without: Property::Expiration.flag() };
        properties.write_edited(&edit, &mut edited);
        if parts.marks.has(Marks::BLIND_COPIES) && old_deaths_tell {
            add_copies(properties, b"BCC", &mut old_keys);
        }
        let keys = own_key.map_or(old_keys, |key| vec![key.into()]);
        let message = Message::copy_of(&Parts {
            exchange: exchange.as_bytes(),
            routing_key: own_key.unwrap_or(parts.routing_key),
            properties: &edited,
            marks: parts.marks.with(Marks::DEAD_LETTERED),
            ..*parts
        });
        DeadLetter { message, keys, deaths }
    }

    /// The headers that tell of all deaths.
    fn headers(&self, parts: &Parts<'_>, deaths: &Deaths, first: Option<[Box<[u8]>; 3]>) -> FieldTable {
        let last = [self.queue.as_bytes(), self.reason.as_str().as_bytes(), parts.exchange].map(Box::from);
        let first = first.unwrap_or_else(|| last.clone());
        let mut headers = FieldTable::default();
        headers.push(X_DEATH, FieldValue::Array(deaths.0.iter().cloned().map(FieldValue::Table).collect()));
        let names = [FIRST_QUEUE, b"x-first-death-reason", b"x-first-death-exchange"];
        for (name, value) in names.into_iter().zip(first) {
            headers.push(name, FieldValue::LongStr(value));
        }
        let names = [&b"x-last-death-queue"[..], b"x-last-death-reason", b"x-last-death-exchange"];
        for (name, value) in names.into_iter().zip(last) {
            headers.push(name, FieldValue::LongStr(value));
        }
        headers
    }
}

impl Deaths {
    fn read(properties: PropertiesRef<'_>) -> Self {
        let raw = properties.headers().and_then(|headers| headers.get_raw(X_DEATH));
        let Some(Ok(FieldValue::Array(entries))) = raw.map(|raw| raw.decode()) else { return Self::default() };
        let tables = entries.into_iter().filter_map(|entry| match entry {
            FieldValue::Table(table) => Some(table),
            _ => None,
        });
        Self(tables.collect())
    }

    /// Adds a death: a new entry, or one more to the count of the one of the same queue and reason.
    fn record(&mut self, death: &Death<'_>, parts: &Parts<'_>, expiration: Option<&[u8]>, keys: &[Box<[u8]>]) {
        let is_same = |entry: &FieldTable| {
            text(entry, b"queue") == Some(death.queue.as_bytes())
                && text(entry, b"reason") == Some(death.reason.as_str().as_bytes())
        };
        let entry = match self.0.iter().position(is_same) {
            Some(place) => {
                let mut entry = self.0.remove(place);
                count_up(&mut entry);
                entry
            }
            None => new_entry(death, parts, expiration, keys),
        };
        self.0.insert(0, entry);
    }

    /// Whether the message would go round by itself if `queue` got it: it died there before, and since then no consumer has
    /// rejected it.
    pub(crate) fn is_cycle(&self, queue: &str) -> bool {
        let is_rejected =
            |entry: &FieldTable| text(entry, b"reason") == Some(DeathReason::Rejected.as_str().as_bytes());
        let Some(place) = self.0.iter().position(|entry| text(entry, b"queue") == Some(queue.as_bytes())) else {
            return false;
        };
        !self.0.iter().take(place + 1).any(is_rejected)
    }

    /// Whether the last entry of a message tells of the keys that it has now.
    fn tell_of(&self, routing_key: &[u8]) -> bool {
        let Some(FieldValue::Array(keys)) = self.0.first().and_then(|entry| entry.get(b"routing-keys")) else {
            return true;
        };
        matches!(keys.first(), Some(FieldValue::LongStr(key)) if **key == *routing_key)
    }
}

fn new_entry(death: &Death<'_>, parts: &Parts<'_>, expiration: Option<&[u8]>, keys: &[Box<[u8]>]) -> FieldTable {
    let long_str = |bytes: &[u8]| FieldValue::LongStr(bytes.into());
    let mut entry = FieldTable::default();
    if let Some(expiration) = expiration {
        entry.push(*b"original-expiration", long_str(expiration));
    }
    entry.push(*b"count", FieldValue::I64(1));
    entry.push(*b"reason", long_str(death.reason.as_str().as_bytes()));
    entry.push(*b"queue", long_str(death.queue.as_bytes()));
    entry.push(*b"time", FieldValue::Timestamp(death.now_ms / 1000));
    entry.push(*b"exchange", long_str(parts.exchange));
    entry.push(*b"routing-keys", FieldValue::Array(keys.iter().map(|key| long_str(key)).collect()));
    entry
}

fn count_up(entry: &mut FieldTable) {
    for (name, value) in &mut entry.0 {
        if let (b"count", FieldValue::I64(count)) = (&**name, value) {
            *count = count.saturating_add(1);
        }
    }
}

fn text<'t>(entry: &'t FieldTable, name: &[u8]) -> Option<&'t [u8]> {
    match entry.get(name) {
        Some(FieldValue::LongStr(text)) => Some(text),
        _ => None,
    }
}

/// Queue, reason and exchange of the first death.
fn first_death(properties: PropertiesRef<'_>) -> Option<[Box<[u8]>; 3]> {
    let headers = properties.headers()?;
    let value = |name: &[u8]| headers.get_raw(name)?.as_long_str().map(Box::from);
    Some([value(FIRST_QUEUE)?, value(b"x-first-death-reason")?, value(b"x-first-death-exchange")?])
}

/// The keys by which a message was routed last: its own, and those of its CC header, unless a dead-letter routing key has
/// taken the place of both.
fn keys(parts: &Parts<'_>, properties: PropertiesRef<'_>, deaths: &Deaths) -> Vec<Box<[u8]>> {
    let mut keys = vec![Box::from(parts.routing_key)];
    if deaths.tell_of(parts.routing_key) {
        add_copies(properties, b"CC", &mut keys);
    }
    keys
}

/// Adds the keys in a header.
fn add_copies(properties: PropertiesRef<'_>, header: &[u8], keys: &mut Vec<Box<[u8]>>) {
    let copies = properties.headers().and_then(|headers| headers.get_raw(header));
    if let Some(Ok(FieldValue::Array(copies))) = copies.map(|copies| copies.decode()) {
        keys.extend(copies.into_iter().filter_map(|copy| match copy {
            FieldValue::LongStr(key) => Some(key),
            _ => None,
        }));
    }
}

#[cfg(test)]
mod tests {
    use leveret_codec::properties::Properties;

    use super::*;

    const EXPIRED: DeathReason = DeathReason::Expired;
    const REJECTED: DeathReason = DeathReason::Rejected;

    fn published(headers: FieldTable, expiration: Option<&str>) -> Message {
        let expiration = expiration.map(|text| text.as_bytes().into());
        let mut properties = Vec::new();
        Properties { headers: Some(headers), expiration, ..Properties::default() }.encode(&mut properties);
        let parts = Parts { exchange: b"ex", routing_key: b"key", properties: &properties, ..Parts::EMPTY };
        Message::copy_of(&parts)
    }

    fn die(message: &Message, queue: &str, reason: DeathReason, own_key: Option<&str>) -> DeadLetter {
        Death { queue, reason, now_ms: 12_345 }.letter(&message.parts(), "dlx", own_key.map(str::as_bytes))
    }

    fn properties_of(message: &Message) -> Properties {
        PropertiesRef::from_checked(message.parts().properties).to_owned().unwrap()
    }

    fn copies(keys: &[&str]) -> FieldTable {
        let mut headers = FieldTable::default();
        let keys = keys.iter().map(|key| FieldValue::LongStr(key.as_bytes().into()));
        headers.push(*b"CC", FieldValue::Array(keys.collect()));
        headers
    }

    fn headers_of(message: &Message) -> FieldTable {
        properties_of(message).headers.unwrap()
    }

    fn deaths_of(message: &Message) -> Vec<FieldTable> {
        Deaths::read(PropertiesRef::from_checked(message.parts().properties)).0
    }

    #[test]
    fn the_first_death_is_told_to_the_letter() {
        let letter = die(&published(copies(&["copy"]), Some("500")), "q", EXPIRED, None);
        let parts = letter.message.parts();
        assert_eq!((parts.exchange, parts.routing_key, parts.marks), (&b"dlx"[..], &b"key"[..], Marks::DEAD_LETTERED));
        assert_eq!(properties_of(&letter.message).expiration, None);
        let long_str = |text: &str| FieldValue::LongStr(text.as_bytes().into());
        let [entry] = &deaths_of(&letter.message)[..] else { panic!("one entry") };
        let fields: Vec<(&str, FieldValue)> = vec![
            ("original-expiration", long_str("500")),
            ("count", FieldValue::I64(1)),
            ("reason", long_str("expired")),
            ("queue", long_str("q")),
            ("time", FieldValue::Timestamp(12)),
            ("exchange", long_str("ex")),
            ("routing-keys", FieldValue::Array(vec![long_str("key"), long_str("copy")])),
        ];
        assert_eq!(entry.0, fields.into_iter().map(|(k, v)| (k.as_bytes().into(), v)).collect::<Vec<_>>());
        let headers = headers_of(&letter.message);
        for (name, value) in [("queue", "q"), ("reason", "expired"), ("exchange", "ex")] {
            for which in ["first", "last"] {
                let header = headers.get(format!("x-{which}-death-{name}").as_bytes());
                assert_eq!(header, Some(&long_str(value)), "{which} {name}");
            }
        }
        assert_eq!(headers.get(b"CC"), copies(&["copy"]).get(b"CC"));
        assert_eq!(letter.keys, [Box::from(&b"key"[..]), Box::from(&b"copy"[..])]);
    }

    #[test]
    fn a_pair_of_queue_and_reason_is_counted_and_moves_to_the_front() {
        let first = die(&published(FieldTable::default(), None), "q", REJECTED, Some("wait"));
        let second = die(&first.message, "wait", EXPIRED, Some("q"));
        let third = die(&second.message, "q", REJECTED, Some("wait"));
        let told: Vec<_> = deaths_of(&third.message)
            .iter()
            .map(|entry| (text(entry, b"queue").unwrap().to_vec(), entry.get(b"count").cloned().unwrap()))
            .collect();
        let expected = [(b"q".to_vec(), FieldValue::I64(2)), (b"wait".to_vec(), FieldValue::I64(1))];
        assert_eq!(told, expected);
        let headers = headers_of(&third.message);
        let reason = |which: &str| headers.get(format!("x-{which}-death-reason").as_bytes()).cloned();
        assert_eq!((reason("first"), reason("last")), (reason("first"), reason("first")));
        let headers = headers_of(&second.message);
        let queue = |which: &str| headers.get(format!("x-{which}-death-queue").as_bytes()).cloned();
        assert_eq!(queue("first"), Some(FieldValue::LongStr((*b"q").into())));
        assert_eq!(queue("last"), Some(FieldValue::LongStr((*b"wait").into())));
    }

    #[test]
    fn what_a_client_says_of_deaths_is_replaced() {
        let own = die(&published(FieldTable::default(), None), "q", REJECTED, None);
        let copied = published(headers_of(&own.message), None);
        assert!(copied.parts().marks.is_none());
        let letter = die(&copied, "q", REJECTED, None);
        let [entry] = &deaths_of(&letter.message)[..] else { panic!("one entry") };
        assert_eq!(entry.get(b"count"), Some(&FieldValue::I64(1)));
        assert_eq!(headers_of(&letter.message).0.iter().filter(|(name, _)| **name == *X_DEATH).count(), 1);
    }

    #[test]
    fn copies_are_forgotten_with_a_key_of_the_queue() {
        let first = die(&published(copies(&["copy"]), None), "q", EXPIRED, Some("own"));
        assert_eq!(first.keys, [Box::from(&b"own"[..])]);
        assert_eq!(first.message.parts().routing_key, b"own");
        let second = die(&first.message, "r", EXPIRED, None);
        assert_eq!(second.keys, [Box::from(&b"own"[..])]);
        let kept = die(&published(copies(&["copy"]), None), "q", EXPIRED, None);
        assert_eq!(die(&kept.message, "r", EXPIRED, None).keys.len(), 2);
    }

    #[test]
    fn a_key_that_is_too_long_for_a_message_is_cut() {
        let long = "k".repeat(300);
        let letter = die(&published(FieldTable::default(), Some("500")), "q", EXPIRED, Some(&long));
        let parts = letter.message.parts();
        assert_eq!((parts.exchange, parts.routing_key), (&b"dlx"[..], long.as_bytes().split_at(255).0));
        assert_eq!(deaths_of(&letter.message).len(), 1, "the properties are where they should be");
        assert_eq!(letter.message.body_len(), 0);
    }

    #[test]
    fn blind_copies_are_keys_and_are_not_told_of() {
        let mut headers = copies(&["copy"]);
        headers.push(*b"BCC", FieldValue::Array(vec![FieldValue::LongStr((*b"blind").into())]));
        let published = published(headers, None);
        let hidden = Message::copy_of(&Parts { marks: Marks::BLIND_COPIES, ..published.parts() });
        let letter = die(&hidden, "q", EXPIRED, None);
        assert_eq!(letter.keys, [b"key".to_vec(), b"copy".to_vec(), b"blind".to_vec()].map(Vec::into_boxed_slice));
        let Some(FieldValue::Array(told)) = deaths_of(&letter.message)[0].get(b"routing-keys").cloned() else {
            panic!()
        };
        assert_eq!(told.len(), 2);
        assert_eq!(die(&letter.message, "r", EXPIRED, None).keys.len(), 3);
        assert_eq!(die(&published, "q", EXPIRED, None).keys.len(), 2, "a client's header alone means nothing");
        let own = die(&hidden, "q", EXPIRED, Some("own"));
        assert_eq!(die(&own.message, "r", EXPIRED, None).keys.len(), 1);
    }

    #[test]
    fn what_goes_round_by_itself_is_cut_unless_somebody_rejected_it() {
        let a = die(&published(FieldTable::default(), None), "a", EXPIRED, None);
        assert!(a.deaths.is_cycle("a") && !a.deaths.is_cycle("b"));
        let b = die(&a.message, "b", DeathReason::MaxLength, None);
        assert!(b.deaths.is_cycle("a") && b.deaths.is_cycle("b"));
        let rejected = die(&b.message, "c", REJECTED, None);
        assert!(["a", "b", "c"].iter().all(|queue| !rejected.deaths.is_cycle(queue)));
        let wait = die(&rejected.message, "wait", EXPIRED, None);
        assert!(!wait.deaths.is_cycle("c") && !wait.deaths.is_cycle("a") && wait.deaths.is_cycle("wait"));
    }
}
