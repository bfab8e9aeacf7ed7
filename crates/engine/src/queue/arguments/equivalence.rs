//! Whether a declaration asks for what is already there.

use std::fmt::Display;

use leveret_codec::table::{FieldTable, FieldValue};

use super::known::{QUEUE_TYPE, compared};
use super::value::{Plain, same};
use super::{ArgumentError, QueueType};
use crate::exchange::ALTERNATE_EXCHANGE;

/// What is declared.
#[derive(Clone, Copy)]
struct Entity<'a> {
    kind: &'static str,
    name: &'a str,
    vhost: &'a str,
}

/// Compares a property (`durable`, `auto_delete`, `internal`, `type`) of an entity with what a declaration says.
///
/// # Errors
/// [`ArgumentError::Inequivalent`]
pub fn check_same(
    kind: &'static str,
    name: &str,
    vhost: &str,
    property: &str,
    current: &str,
    received: &str,
) -> Result<(), ArgumentError> {
    if current == received {
        return Ok(());
    }
    let entity = Entity { kind, name, vhost };
    Err(entity.inequivalent(property, quoted(current), quoted(received)))
}

/// Compares the arguments of a queue with those of a declaration: only those that its type knows. Where no type is said,
/// the default type is meant. With `any_type` the type itself is not compared.
///
/// # Errors
/// [`ArgumentError::Inequivalent`]
pub fn check_equivalent_queue(
    name: &str,
    vhost: &str,
    current: &FieldTable,
    received: &FieldTable,
    any_type: bool,
) -> Result<(), ArgumentError> {
    let entity = Entity { kind: "queue", name, vhost };
    let default_type = FieldValue::LongStr(QueueType::default().as_str().as_bytes().into());
    for key in compared(QueueType::of(current)) {
        if any_type && key == QUEUE_TYPE {
            continue;
        }
        let default = (key == QUEUE_TYPE).then_some(&default_type);
        entity.check_argument(key, current.get(key).or(default), received.get(key).or(default))?;
    }
    Ok(())
}

/// Compares the arguments named by `known_keys`, and no others, of an entity (`queue` or `exchange`) with those of a
/// declaration.
///
/// # Errors
/// [`ArgumentError::Inequivalent`]
pub fn check_equivalent(
    kind: &'static str,
    name: &str,
    vhost: &str,
    known_keys: &[&[u8]],
    current: &FieldTable,
    received: &FieldTable,
) -> Result<(), ArgumentError> {
    let entity = Entity { kind, name, vhost };
    known_keys.iter().try_for_each(|key| entity.check_argument(key, current.get(key), received.get(key)))
}

/// Refuses an alternate exchange that is not named by a long string.
///
/// # Errors
/// [`ArgumentError::InvalidType`]
pub fn check_alternate_exchange(exchange: &str, vhost: &str, arguments: &FieldTable) -> Result<(), ArgumentError> {
    match arguments.get(ALTERNATE_EXCHANGE) {
        None | Some(FieldValue::LongStr(_)) => Ok(()),
        Some(value) => Err(ArgumentError::InvalidType {
            type_name: value.type_name(),
            argument: String::from_utf8_lossy(ALTERNATE_EXCHANGE).into(),
            kind: "exchange",
            name: exchange.into(),
            vhost: vhost.into(),
        }),
    }
}

impl Entity<'_> {
    fn check_argument(
        self,
        key: &[u8],
        current: Option<&FieldValue>,
        received: Option<&FieldValue>,
    ) -> Result<(), ArgumentError> {
        let (current, received) = match (current, received) {
            (None, None) => return Ok(()),
            (Some(current), Some(received)) if same(current, received) => return Ok(()),
            (Some(current), Some(received)) => (value_text(current), value_text(received)),
            (current, received) => (typed_text(current), typed_text(received)),
        };
        Err(self.inequivalent(&String::from_utf8_lossy(key), current, received))
    }

    fn inequivalent(self, argument: &str, current: Box<str>, received: Box<str>) -> ArgumentError {
        ArgumentError::Inequivalent {
            argument: argument.into(),
            kind: self.kind,
            name: self.name.into(),
            vhost: self.vhost.into(),
            received,
            current,
        }
    }
}

/// How a value is shown when the other side has one too.
fn value_text(value: &FieldValue) -> Box<str> {
    match value {
        FieldValue::Void => "none".into(),
        value => quoted(Plain(value)),
    }
}

/// How a value is shown when the other side has none.
fn typed_text(value: Option<&FieldValue>) -> Box<str> {
    match value {
        None => "none".into(),
        Some(value) => format!("the value '{}' of type '{}'", Plain(value), value.type_name()).into(),
    }
}

fn quoted(value: impl Display) -> Box<str> {
    format!("'{value}'").into()
}
