//! Consistent hash exchanges: each message goes to one destination, the same for the same key, to each in proportion to its
//! weight, and when a destination goes only its own keys move.
//!
//! Each destination draws a lot for the key, from the numbers of both and so the same every time: the time after which a
//! clock of its weight would first ring. The earliest wins (weighted rendezvous hashing). A destination rings first as often
//! as its weight's part of all weights, and taking it away changes nothing between the others. There is no ring and no row
//! of buckets: weights cost nothing, however large, and the order of the bindings means nothing.

use std::hash::Hash;

use leveret_codec::properties::PropertiesRef;
use leveret_codec::table::{FieldTable, FieldValue};
use smallvec::SmallVec;

use super::error::ExchangeError;
use super::headers::write_raw_value;
use super::shares;
use super::table::Subject;
use crate::queue::arguments::Canonical;

/// The argument that names the header to go by.
const HASH_HEADER: &[u8] = b"hash-header";

/// The argument that names the property to go by.
const HASH_PROPERTY: &[u8] = b"hash-property";

/// What the share of a message goes by.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    RoutingKey,
    Header(Box<[u8]>),
    CorrelationId,
    MessageId,
    Timestamp,
}

/// The bindings of a consistent hash exchange.
#[derive(Clone, Debug)]
pub(super) struct ConsistentHashTable<D> {
    source: Source,
    shares: Vec<Share<D>>,
    /// All weigh the same: then the greatest lot wins, and nothing has to be calculated.
    is_even: bool,
}

#[derive(Clone, Debug)]
struct Share<D> {
    destination: D,
    number: u64,
    /// Of each binding to the destination, in their order. The first counts alone. Never empty.
    weights: SmallVec<[f64; 1]>,
}

/// Refuses arguments of an exchange that cannot be followed.
pub(super) fn validate(arguments: &FieldTable) -> Result<(), ExchangeError> {
    for name in [HASH_HEADER, HASH_PROPERTY] {
        match arguments.get(name) {
            None | Some(FieldValue::LongStr(_)) => {}
            Some(value) => {
                let argument = String::from_utf8_lossy(name).into();
                return Err(ExchangeError::ArgumentType { argument, type_name: value.type_name() });
            }
        }
    }
    match (arguments.get(HASH_HEADER), arguments.get(HASH_PROPERTY)) {
        (Some(_), Some(_)) => Err(ExchangeError::HashOfTwo),
        (None, Some(FieldValue::LongStr(name))) if property(name).is_none() => {
            Err(ExchangeError::UnsupportedProperty(String::from_utf8_lossy(name).into()))
        }
        _ => Ok(()),
    }
}

/// Refuses a binding whose key is no weight.
pub(super) fn validate_binding(key: &[u8]) -> Result<(), ExchangeError> {
    match weight(key) {
        Some(weight) if weight > 0.0 => Ok(()),
        Some(_) => Err(ExchangeError::WeightNotPositive),
        None => Err(ExchangeError::WeightNoInteger(key.into())),
    }
}

/// An integer in decimal digits, of any length.
fn weight(key: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(key).ok()?;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse::<f64>().ok().map(|weight| weight.min(f64::MAX))
}

fn property(name: &[u8]) -> Option<Source> {
    match name {
        b"correlation_id" => Some(Source::CorrelationId),
        b"message_id" => Some(Source::MessageId),
        b"timestamp" => Some(Source::Timestamp),
        _ => None,
    }
}

impl Source {
    fn of(arguments: &FieldTable) -> Self {
        match (arguments.get(HASH_HEADER), arguments.get(HASH_PROPERTY)) {
            (Some(FieldValue::LongStr(name)), _) => Self::Header(name.clone()),
            (_, Some(FieldValue::LongStr(name))) => property(name).unwrap_or(Self::RoutingKey),
            _ => Self::RoutingKey,
        }
    }

    /// The number of the message. All without what is to be gone by have the same.
    fn number(&self, subject: &Subject<'_>) -> u64 {
        let properties: PropertiesRef<'_> = subject.properties;
        match self {
            Self::RoutingKey => subject.keys.first().map(|key| shares::of_bytes(key)),
            Self::Header(name) => {
                let value = properties.headers().and_then(|headers| headers.get_raw(name));
                let mut canonical = Canonical::new();
                value
                    .filter(|value| write_raw_value(*value, &mut canonical).is_ok())
                    .map(|_| shares::of_bytes(&canonical))
            }
            Self::CorrelationId => properties.correlation_id().map(shares::of_bytes),
            Self::MessageId => properties.message_id().map(shares::of_bytes),
            Self::Timestamp => properties.timestamp().map(shares::mix),
        }
        .unwrap_or_default()
    }
}

impl<D: Clone + Eq + Hash> ConsistentHashTable<D> {
    pub(super) fn new(arguments: &FieldTable) -> Self {
        Self { source: Source::of(arguments), shares: Vec::new(), is_even: true }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// Whether nothing but the routing key has a say.
    pub(super) fn goes_by_key(&self) -> bool {
        self.source == Source::RoutingKey
    }

    /// Adds a binding. A second one of a destination changes nothing, until the first goes.
    pub(super) fn bind(&mut self, key: &[u8], destination: &D) {
        let weight = weight(key).unwrap_or(1.0);
        match self.shares.iter_mut().find(|share| share.destination == *destination) {
            Some(share) => share.weights.push(weight),
            None => self.shares.push(Share {
                destination: destination.clone(),
                number: shares::of_destination(destination),
                weights: SmallVec::from_buf([weight]),
            }),
        }
        self.weigh();
    }

    fn weigh(&mut self) {
        let mut weights = self.shares.iter().map(|share| share.weight().to_bits());
        let first = weights.next();
        self.is_even = weights.all(|weight| Some(weight) == first);
    }

    pub(super) fn unbind(&mut self, key: &[u8], destination: &D) {
        let weight = weight(key).unwrap_or(1.0);
        let Some(place) = self.shares.iter().position(|share| share.destination == *destination) else { return };
        let Some(share) = self.shares.get_mut(place) else { return };
        if let Some(gone) = share.weights.iter().position(|known| known.to_bits() == weight.to_bits()) {
            share.weights.remove(gone);
        }
        if share.weights.is_empty() {
            self.shares.swap_remove(place);
        }
        self.weigh();
    }

    pub(super) fn visit(&self, subject: &Subject<'_>, each: &mut dyn FnMut(&D)) {
        let number = match self.shares.as_slice() {
            [] => return,
            [only] => return each(&only.destination),
            _ => self.source.number(subject),
        };
        if self.is_even {
            let greatest = self.shares.iter().max_by_key(|share| (share.lot(number), u64::MAX - share.number));
            return greatest.into_iter().for_each(|share| each(&share.destination));
        }
        let mut first: Option<(f64, u64, &D)> = None;
        for share in &self.shares {
            let rings_at = share.rings_at(number);
            let is_earlier =
                |(best, number, _): &(f64, u64, _)| rings_at < *best || (rings_at == *best && share.number < *number);
            if first.as_ref().is_none_or(is_earlier) {
                first = Some((rings_at, share.number, &share.destination));
            }
        }
        if let Some((_, _, destination)) = first {
            each(destination);
        }
    }
}

impl<D> Share<D> {
    fn weight(&self) -> f64 {
        self.weights.first().copied().unwrap_or(1.0)
    }

    /// A number of as many bits as a float's digits have.
    fn lot(&self, number: u64) -> u64 {
        shares::mix(number ^ self.number) >> (u64::BITS - f64::MANTISSA_DIGITS)
    }

    /// Exponentially distributed over the numbers of messages, the weight being the rate. The greater the lot, the earlier.
    #[allow(clippy::cast_precision_loss, reason = "a lot has no more bits than a float's digits")]
    fn rings_at(&self, number: u64) -> f64 {
        let lot = (self.lot(number) as f64 + 0.5) / (1_u64 << f64::MANTISSA_DIGITS) as f64;
        -lot.ln() / self.weight()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(weights: &[(u32, &str)]) -> ConsistentHashTable<u32> {
        let mut table = ConsistentHashTable::new(&FieldTable::default());
        weights.iter().for_each(|(destination, weight)| table.bind(weight.as_bytes(), destination));
        table
    }

    fn route(table: &ConsistentHashTable<u32>, key: &str) -> Option<u32> {
        let mut found = Vec::new();
        table.visit(&Subject::by_key(&[key.as_bytes()]), &mut |destination| found.push(*destination));
        assert!(found.len() <= 1);
        found.pop()
    }

    fn counts(table: &ConsistentHashTable<u32>, destinations: usize, keys: u32) -> Vec<u32> {
        let mut counts = vec![0; destinations];
        for key in 0..keys {
            counts[route(table, &format!("key-{key}")).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn destinations_get_what_their_weights_say() {
        let counts = counts(&table(&[(0, "1"), (1, "1"), (2, "2"), (3, "4")]), 4, 80_000);
        for (count, expected) in counts.iter().zip([10_000_u32, 10_000, 20_000, 40_000]) {
            // Six standard deviations are under 900.
            assert!(count.abs_diff(expected) < 900, "{counts:?}");
        }
    }

    #[test]
    fn many_equal_destinations_get_the_same() {
        let bindings: Vec<(u32, &str)> = (0..50).map(|destination| (destination, "10")).collect();
        let counts = counts(&table(&bindings), 50, 100_000);
        assert!(counts.iter().all(|count| count.abs_diff(2_000) < 270), "{counts:?}");
    }

    #[test]
    fn what_is_not_calculated_comes_to_the_same() {
        let mut even = table(&[(0, "3"), (1, "3"), (2, "3"), (3, "3")]);
        let routes =
            |table: &ConsistentHashTable<u32>| (0..2000).map(|key| route(table, &key.to_string())).collect::<Vec<_>>();
        let expected = routes(&even);
        even.is_even = false;
        assert_eq!(routes(&even), expected);
    }

    #[test]
    fn a_second_binding_waits_for_the_end_of_the_first() {
        let mut both = table(&[(0, "1"), (1, "1"), (1, "1000")]);
        let keys = || (0..1000).map(|key| key.to_string());
        let before: Vec<_> = keys().map(|key| route(&both, &key)).collect();
        assert_eq!(before, keys().map(|key| route(&table(&[(0, "1"), (1, "1")]), &key)).collect::<Vec<_>>());
        both.unbind(b"1", &1);
        assert!(keys().filter(|key| route(&both, key) == Some(1)).count() > 980);
        both.unbind(b"1000", &1);
        assert!(keys().all(|key| route(&both, &key) == Some(0)));
        both.unbind(b"1", &0);
        assert!(both.is_empty());
        assert_eq!(route(&both, "key"), None);
    }

    #[test]
    fn weights_are_positive_integers() {
        let refusal = |key: &[u8]| validate_binding(key).map_err(|error| error.to_string()).err();
        for key in [&b"1"[..], b"10000", b"+7", b"007", b"123456789012345678901234567890"] {
            assert_eq!(refusal(key), None);
        }
        for key in [&b"0"[..], b"-1", b"-0"] {
            assert_eq!(refusal(key).as_deref(), Some("The binding key must be greater than 0"));
        }
        for (key, shown) in [(&b"a"[..], "<<\"a\">>"), (b"", "<<>>"), (b"1.5", "<<\"1.5\">>"), (b" 1", "<<\" 1\">>")] {
            assert_eq!(refusal(key), Some(format!("The binding key must be an integer: {shown}")));
        }
    }

    proptest! {
        #[test]
        fn only_the_keys_of_what_goes_move(
            weights in prop::collection::vec(1..100_u32, 2..12), gone in any::<prop::sample::Index>(), keys in 1..200_u32,
        ) {
            let named: Vec<(u32, String)> = (0..).zip(weights.iter().map(u32::to_string)).collect();
            let bindings: Vec<(u32, &str)> = named.iter().map(|(n, weight)| (*n, weight.as_str())).collect();
            let whole = table(&bindings);
            let (gone, weight) = bindings[gone.index(bindings.len())];
            let mut less = whole.clone();
            less.unbind(weight.as_bytes(), &gone);
            let backwards: Vec<(u32, &str)> = bindings.iter().rev().copied().collect();
            let backwards = table(&backwards);
            for key in 0..keys {
                let key = key.to_string();
                let before = route(&whole, &key);
                prop_assert_eq!(before, route(&backwards, &key));
                if before != Some(gone) {
                    prop_assert_eq!(before, route(&less, &key));
                }
            }
        }
    }
}
