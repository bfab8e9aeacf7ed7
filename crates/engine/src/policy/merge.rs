//! How policies of users and operators and the arguments of a queue or exchange come together.

use leveret_codec::table::{FieldTable, FieldValue};

use super::keys::{Merge, find};
use crate::exchange::ALTERNATE_EXCHANGE;
use crate::names::Name;
use crate::queue::arguments::{QueueType, age_ms, integer};

/// What a user's and an operator's policy say together, in order of the keys.
pub(crate) fn merge_definitions(user: &FieldTable, operator: &FieldTable) -> FieldTable {
    let mut merged = user.clone();
    for (name, value) in &operator.0 {
        match merged.0.iter_mut().find(|(known, _)| known == name) {
            None => merged.push(&**name, value.clone()),
            Some((_, known)) => {
                let least = match find(name).map(|key| key.merge) {
                    Some(Merge::Least) => least(known, value),
                    Some(Merge::DeliveryLimit) => delivery_limit(known, value),
                    _ => value,
                };
                *known = least.clone();
            }
        }
    }
    merged.0.sort_by(|(a, _), (b, _)| a.cmp(b));
    merged
}

/// The arguments that a queue of this type acts by, when it was declared with `arguments` and policies say `definition`.
pub(crate) fn effective_arguments(
    queue_type: QueueType,
    arguments: &FieldTable,
    definition: &FieldTable,
) -> FieldTable {
    let mut effective = arguments.clone();
    for (name, value) in &definition.0 {
        let Some(key) = find(name) else { continue };
        let argument = [b"x-", key.name].concat();
        match effective.0.iter_mut().find(|(known, _)| **known == *argument) {
            None => effective.push(argument, value.clone()),
            Some((_, known)) => {
                let winner = match key.merge {
                    Merge::Least => least(known, value),
                    Merge::DeliveryLimit => delivery_limit(known, value),
                    Merge::Policy if queue_type != QueueType::Classic => value,
                    Merge::Policy | Merge::Argument => known,
                };
                *known = winner.clone();
            }
        }
    }
    effective
}

/// The alternate exchange that policies name.
pub(crate) fn policy_alternate(definition: &FieldTable) -> Option<Name> {
    match definition.get(ALTERNATE_EXCHANGE) {
        Some(FieldValue::LongStr(name)) => Some(String::from_utf8_lossy(name).into()),
        _ => None,
    }
}

/// What a value counts as; ages by their length.
fn number(value: &FieldValue) -> Option<i128> {
    match value {
        FieldValue::LongStr(text) => age_ms(text).map(i128::from),
        other => integer(other).map(i128::from),
    }
}

fn least<'a>(a: &'a FieldValue, b: &'a FieldValue) -> &'a FieldValue {
    if number(a) <= number(b) { a } else { b }
}

fn delivery_limit<'a>(a: &'a FieldValue, b: &'a FieldValue) -> &'a FieldValue {
    let (limit_a, limit_b) = (number(a), number(b));
    let unlimited = limit_a < Some(0) || limit_b < Some(0);
    if (limit_a <= limit_b) != unlimited { a } else { b }
}
