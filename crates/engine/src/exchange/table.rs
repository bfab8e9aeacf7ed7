//! Routing tables: from a message's key and headers to the destinations of the bindings that match.

use std::hash::Hash;

use leveret_codec::properties::PropertiesRef;
use leveret_codec::table::{FieldTable, TableRef};

use super::consistent_hash::{self, ConsistentHashTable};
use super::direct::DirectTable;
use super::error::ExchangeError;
use super::fanout::Destinations;
use super::headers::{self, HeadersTable};
use super::history;
use super::jms_topic::{self, JmsTopicTable};
use super::modulus_hash::ModulusHashTable;
use super::random::RandomTable;
use super::topic::TopicTable;
use crate::error::Error;
use crate::names::Name;
use crate::queue::arguments::QueueType;

/// The type of an exchange: how its bindings match.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ExchangeKind {
    /// By equal key.
    Direct,
    /// Always.
    Fanout,
    /// By a pattern of words.
    Topic,
    /// By header values.
    Headers,
    /// One of all, the same for equal keys; weights are respected.
    ConsistentHash,
    /// One of all, the same for equal keys.
    ModulusHash,
    /// One of all, by chance.
    Random,
    /// One of all, by chance; of classic queues alone.
    LocalRandom,
    /// Always; new bindings get the last messages.
    RecentHistory,
    /// By a condition on headers.
    JmsTopic,
}

/// The bindings of one exchange to destinations of type `D`.
#[derive(Clone, Debug)]
pub struct Table<D>(Bindings<D>);

#[derive(Clone, Debug)]
enum Bindings<D> {
    Direct(DirectTable<D>),
    Fanout(Destinations<D>),
    Topic(TopicTable<D>),
    Headers(HeadersTable<D>),
    ConsistentHash(ConsistentHashTable<D>),
    ModulusHash(ModulusHashTable<D>),
    Random(RandomTable<D>),
    JmsTopic(JmsTopicTable<D>),
}

/// What a message is routed by.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The routing keys: the publish's own first.
    pub keys: &'a [&'a [u8]],
    /// The properties; headers among them are decoded only where they are asked for.
    pub properties: PropertiesRef<'a>,
    /// Gives another number at each call.
    pub random: &'a dyn Fn() -> u64,
}

/// A binding that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct NewBinding<'a> {
    /// The exchange that messages come from.
    pub source: &'a Name,
    /// The routing key.
    pub key: &'a [u8],
    /// The arguments.
    pub arguments: &'a FieldTable,
    /// Where it leads.
    pub destination: &'a Name,
    /// The type of the queue that it leads to; none when it leads to an exchange.
    pub queue_type: Option<QueueType>,
}

/// Refuses a binding that means nothing to an exchange of this type.
///
/// # Errors
/// [`Error::Argument`], [`Error::Exchange`]
pub fn validate_binding(kind: ExchangeKind, binding: &NewBinding<'_>) -> Result<(), Error> {
    let refuse = |error| Err(Error::Exchange(error));
    match kind {
        ExchangeKind::Headers => Ok(headers::validate_binding(binding.arguments)?),
        ExchangeKind::ConsistentHash => Ok(consistent_hash::validate_binding(binding.key)?),
        ExchangeKind::LocalRandom if !binding.key.is_empty() => {
            refuse(ExchangeError::KeyNotEmpty(String::from_utf8_lossy(binding.key).into()))
        }
        ExchangeKind::LocalRandom => match binding.queue_type {
            Some(QueueType::Classic) => Ok(()),
            Some(other) => refuse(ExchangeError::WrongQueueType(other)),
            None => refuse(ExchangeError::NoQueueThere),
        },
        ExchangeKind::JmsTopic if !jms_topic::is_valid(binding.arguments) => refuse(ExchangeError::BadSelector {
            selector: String::from_utf8_lossy(jms_topic::selector_text(binding.arguments)).into(),
            destination: Name::clone(binding.destination),
            exchange: Name::clone(binding.source),
        }),
        _ => Ok(()),
    }
}

/// Refuses arguments that an exchange of this type cannot follow.
///
/// # Errors
/// [`Error::Exchange`]
pub fn validate_arguments(kind: ExchangeKind, arguments: &FieldTable) -> Result<(), Error> {
    match kind {
        ExchangeKind::ConsistentHash => Ok(consistent_hash::validate(arguments)?),
        ExchangeKind::RecentHistory => Ok(history::validate(arguments)?),
        _ => Ok(()),
    }
}

impl ExchangeKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Direct,
        Self::Fanout,
        Self::Topic,
        Self::Headers,
        Self::ConsistentHash,
        Self::ModulusHash,
        Self::Random,
        Self::LocalRandom,
        Self::RecentHistory,
        Self::JmsTopic,
    ];

    /// The type of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
            Self::ConsistentHash => "x-consistent-hash",
            Self::ModulusHash => "x-modulus-hash",
            Self::Random => "x-random",
            Self::LocalRandom => "x-local-random",
            Self::RecentHistory => "x-recent-history",
            Self::JmsTopic => "x-jms-topic",
        }
    }
}

impl std::fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject")
            .field("keys", &self.keys)
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}

impl<'a> Subject<'a> {
    /// A message without properties, for which nothing is left to chance.
    #[must_use]
    pub fn by_key(keys: &'a [&'a [u8]]) -> Self {
        Self { keys, properties: PropertiesRef::from_checked(&[0, 0]), random: &|| 0 }
    }

    fn headers(&self) -> TableRef<'a> {
        self.properties.headers().unwrap_or(TableRef::EMPTY)
    }
}

impl<D: Clone + Eq + Hash> Table<D> {
    /// The table of an exchange without bindings, which was declared with these arguments.
    #[must_use]
    pub fn new(kind: ExchangeKind, arguments: &FieldTable) -> Self {
        Self(match kind {
            ExchangeKind::Direct => Bindings::Direct(DirectTable::new()),
            ExchangeKind::Fanout | ExchangeKind::RecentHistory => Bindings::Fanout(Destinations::new()),
            ExchangeKind::Topic => Bindings::Topic(TopicTable::new()),
            ExchangeKind::Headers => Bindings::Headers(HeadersTable::new()),
            ExchangeKind::ConsistentHash => Bindings::ConsistentHash(ConsistentHashTable::new(arguments)),
            ExchangeKind::ModulusHash => Bindings::ModulusHash(ModulusHashTable::new()),
            ExchangeKind::Random | ExchangeKind::LocalRandom => Bindings::Random(RandomTable::new()),
            ExchangeKind::JmsTopic => Bindings::JmsTopic(JmsTopicTable::new()),
        })
    }

    /// Adds a binding. The caller sees to it that there is none yet with this key, destination and arguments.
    pub fn bind(&mut self, key: &[u8], arguments: &FieldTable, destination: D) {
        match &mut self.0 {
            Bindings::Direct(table) => table.bind(key, destination),
            Bindings::Fanout(table) => table.add(destination),
            Bindings::Topic(table) => table.bind(key, destination),
            Bindings::Headers(table) => table.bind(arguments, &destination),
            Bindings::ConsistentHash(table) => table.bind(key, &destination),
            Bindings::ModulusHash(table) => table.bind(destination),
            Bindings::Random(table) => table.bind(destination),
            Bindings::JmsTopic(table) => table.bind(arguments, destination),
        }
    }

    /// Removes a binding, and nothing of others that match the same messages. The caller sees to it that it is there.
    pub fn unbind(&mut self, key: &[u8], arguments: &FieldTable, destination: &D) {
        match &mut self.0 {
            Bindings::Direct(table) => table.unbind(key, destination),
            Bindings::Fanout(table) => table.remove(destination),
            Bindings::Topic(table) => table.unbind(key, destination),
            Bindings::Headers(table) => table.unbind(arguments, destination),
            Bindings::ConsistentHash(table) => table.unbind(key, destination),
            Bindings::ModulusHash(table) => table.unbind(destination),
            Bindings::Random(table) => table.unbind(destination),
            Bindings::JmsTopic(table) => table.unbind(arguments, destination),
        }
    }

    /// Calls `each` for the destination of every binding that matches the message, at least once for each destination; whoever
    /// wants each only once sees to it. Types that choose one call it once at most.
    pub fn visit(&self, subject: &Subject<'_>, each: &mut dyn FnMut(&D)) {
        match &self.0 {
            Bindings::Direct(table) => subject.keys.iter().for_each(|key| table.visit(key, each)),
            Bindings::Fanout(table) => table.visit(each),
            Bindings::Topic(table) => subject.keys.iter().for_each(|key| table.visit(key, each)),
            Bindings::Headers(table) => table.visit(subject.headers(), each),
            Bindings::ConsistentHash(table) => table.visit(subject, each),
            Bindings::ModulusHash(table) => table.visit(subject.keys, each),
            Bindings::Random(table) => table.visit(subject.random, each),
            Bindings::JmsTopic(table) => table.visit(subject.headers(), each),
        }
    }

    /// Whether there are no bindings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Bindings::Direct(table) => table.is_empty(),
            Bindings::Fanout(table) => table.is_empty(),
            Bindings::Topic(table) => table.is_empty(),
            Bindings::Headers(table) => table.is_empty(),
            Bindings::ConsistentHash(table) => table.is_empty(),
            Bindings::ModulusHash(table) => table.is_empty(),
            Bindings::Random(table) => table.is_empty(),
            Bindings::JmsTopic(table) => table.is_empty(),
        }
    }

    /// Whether messages with equal keys go to the same destinations while the bindings stand still.
    #[must_use]
    pub fn goes_by_key(&self) -> bool {
        match &self.0 {
            Bindings::Direct(_) | Bindings::Fanout(_) | Bindings::Topic(_) | Bindings::ModulusHash(_) => true,
            Bindings::ConsistentHash(table) => table.goes_by_key(),
            Bindings::Headers(_) | Bindings::Random(_) | Bindings::JmsTopic(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use leveret_codec::table::FieldValue;

    use super::*;

    fn refusal(
        kind: ExchangeKind,
        key: &[u8],
        arguments: &FieldTable,
        queue_type: Option<QueueType>,
    ) -> Option<String> {
        let binding = NewBinding { source: &"e".into(), key, arguments, destination: &"q".into(), queue_type };
        validate_binding(kind, &binding).err().map(|error| error.to_string())
    }

    #[test]
    fn local_random_takes_classic_queues_alone() {
        let nothing = FieldTable::default();
        let refusal = |key: &[u8], queue_type| refusal(ExchangeKind::LocalRandom, key, &nothing, queue_type);
        assert_eq!(refusal(b"", Some(QueueType::Classic)), None);
        let text = "Queue type rabbit_stream_queue not valid for this exchange type";
        assert_eq!(refusal(b"", Some(QueueType::Stream)).as_deref(), Some(text));
        assert_eq!(refusal(b"", None).as_deref(), Some("Destination not found"));
        let text = "Non empty binding 'x' key not permitted";
        assert_eq!(refusal(b"x", Some(QueueType::Classic)).as_deref(), Some(text));
    }

    #[test]
    fn a_jms_binding_needs_a_selector() {
        let mut arguments = FieldTable::default();
        let text = |selector| format!("cannot parse selector '{selector}' binding destination 'q' to exchange 'e'");
        assert_eq!(refusal(ExchangeKind::JmsTopic, b"k", &arguments, None), Some(text("")));
        arguments.push(*b"rjms_erlang_selector", FieldValue::LongStr((*b"a = 1").into()));
        assert_eq!(refusal(ExchangeKind::JmsTopic, b"k", &arguments, None), Some(text("a = 1")));
        arguments = FieldTable::default();
        arguments.push(*b"rjms_erlang_selector", FieldValue::LongStr((*b"true.").into()));
        assert_eq!(refusal(ExchangeKind::JmsTopic, b"k", &arguments, None), None);
    }

    #[test]
    fn hashes_go_by_one_thing() {
        let named = |entries: &[(&str, &str)]| {
            let mut table = FieldTable::default();
            for (name, value) in entries {
                table.push(name.as_bytes(), FieldValue::LongStr(value.as_bytes().into()));
            }
            table
        };
        let refusal = |entries: &[(&str, &str)]| {
            validate_arguments(ExchangeKind::ConsistentHash, &named(entries)).err().map(|error| error.to_string())
        };
        assert_eq!(refusal(&[]), None);
        assert_eq!(refusal(&[("hash-header", "x")]), None);
        for property in ["correlation_id", "message_id", "timestamp"] {
            assert_eq!(refusal(&[("hash-property", property)]), None);
        }
        assert_eq!(refusal(&[("hash-property", "app_id")]).as_deref(), Some("Unsupported property: app_id"));
        let text = "hash-header and hash-property are mutually exclusive";
        assert_eq!(refusal(&[("hash-header", "x"), ("hash-property", "y")]).as_deref(), Some(text));
        let mut typed = FieldTable::default();
        typed.push(*b"hash-header", FieldValue::I32(1));
        assert!(validate_arguments(ExchangeKind::ConsistentHash, &typed).is_err());
        assert_eq!(validate_arguments(ExchangeKind::Direct, &typed), Ok(()));
    }

    #[test]
    fn kinds_have_rabbitmq_s_names() {
        for kind in ExchangeKind::ALL {
            assert_eq!(ExchangeKind::parse(kind.as_str()), Some(kind));
        }
        for unknown in ["Direct", "x-delayed", ""] {
            assert_eq!(ExchangeKind::parse(unknown), None);
        }
    }

    #[test]
    fn refused_x_match() {
        let text = |bytes: &[u8]| FieldValue::LongStr(bytes.into());
        let value =
            |shown| format!("Invalid x-match field value {shown}; expected all, any, all-with-x, or any-with-x");
        let kind = |name, shown| format!("Invalid x-match field type {name} (value {shown}); expected longstr");
        let examples = [
            (text(b"all-with-x"), None),
            (text(b"foo"), Some(value("<<\"foo\">>"))),
            (text(b""), Some(value("<<>>"))),
            (text(&[255, 1]), Some(value("<<255,1>>"))),
            (FieldValue::I32(23), Some(kind("signedint", "23"))),
            (FieldValue::ByteArray((*b"all").into()), Some(kind("binary", "<<\"all\">>"))),
            (FieldValue::Void, Some(kind("void", "undefined"))),
        ];
        for (value, expected) in examples {
            let mut arguments = FieldTable::default();
            arguments.push(*b"x-match", value);
            assert_eq!(refusal(ExchangeKind::Headers, b"", &arguments, None), expected);
            assert_eq!(refusal(ExchangeKind::Topic, b"", &arguments, None), None);
        }
    }
}
