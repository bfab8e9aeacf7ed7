//! Policies: settings for all queues and exchanges whose names match a pattern (behaviour: RabbitMQ's).
//!
//! On a queue or exchange acts at most one policy of a user and one of an operator: of those that match and are made of what
//! its type can be told, the one of the highest priority. What both say is merged, and the outcome with the arguments.

mod keys;
mod merge;

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use fancy_regex::Regex;
use leveret_codec::erlang::Binary;
use leveret_codec::table::{FieldTable, FieldValue};
use thiserror::Error;

use crate::names::Name;
use crate::queue::arguments::{QueueType, Term};

pub(crate) use merge::{effective_arguments, merge_definitions, policy_alternate};

/// What a policy is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPolicy {
    /// Its name, unique among those of its kind in its vhost.
    pub name: String,
    /// A regular expression, searched for anywhere in a name.
    pub pattern: String,
    /// What it is for.
    pub apply_to: ApplyTo,
    /// Of several that match, the one with the highest acts.
    pub priority: i64,
    /// Settings by their keys: those of arguments without `x-`.
    pub definition: FieldTable,
}

/// A policy that was found sound.
#[derive(Debug)]
pub struct Policy {
    /// Its name.
    pub name: Name,
    pattern: Regex,
    /// What it is for.
    pub apply_to: ApplyTo,
    /// Of several that match, the one with the highest acts.
    pub priority: i64,
    /// Settings by their keys.
    pub definition: FieldTable,
}

/// Whose policy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// A user's.
    User,
    /// An operator's: it bounds what users say.
    Operator,
}

/// What a policy is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApplyTo {
    /// `all`
    #[default]
    All,
    /// `queues`: those of all types
    Queues,
    /// `classic_queues`
    ClassicQueues,
    /// `quorum_queues`
    QuorumQueues,
    /// `streams`
    Streams,
    /// `exchanges`
    Exchanges,
}

/// Why a policy is refused, in RabbitMQ's words.
#[derive(Clone, Debug, Error, PartialEq)]
#[allow(missing_docs, reason = "each variant's text says it")]
pub enum PolicyError {
    #[error("no policy provided")]
    Empty,
    #[error("{0} duplicate keys not allowed")]
    DuplicateKeys(String),
    #[error("{0} are not recognised policy settings")]
    UnknownKeys(String),
    #[error("{value} is not a valid {what}")]
    InvalidValue { value: String, what: &'static str },
    #[error("pattern should be regular expression but is invalid: {0}")]
    Pattern(String),
    #[error(
        "apply-to '{0}' unrecognised; should be one of: 'queues', 'classic_queues',  'quorum_queues', 'streams', \
         'exchanges', or 'all'"
    )]
    ApplyTo(String),
}

/// What a policy is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A queue of this type.
    Queue(QueueType),
    /// An exchange.
    Exchange,
}

/// The policies of a vhost.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    user: Vec<Arc<Policy>>,
    operator: Vec<Arc<Policy>>,
}

/// The policies that act on a queue or exchange.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// The user's.
    pub user: Option<Arc<Policy>>,
    /// The operator's.
    pub operator: Option<Arc<Policy>>,
}

impl NewPolicy {
    /// A policy for all that has `pattern` in its name. It says nothing yet.
    #[must_use]
    pub fn new(name: impl Into<String>, pattern: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            pattern: pattern.into(),
            apply_to: ApplyTo::All,
            priority: 0,
            definition: FieldTable::default(),
        }
    }

    /// Sets a key to a number.
    #[must_use]
    pub fn number(mut self, key: &str, value: i64) -> Self {
        self.definition.push(key.as_bytes(), FieldValue::I64(value));
        self
    }

    /// Sets a key to a text.
    #[must_use]
    pub fn text(mut self, key: &str, value: &str) -> Self {
        self.definition.push(key.as_bytes(), FieldValue::LongStr(value.as_bytes().into()));
        self
    }
}

impl ApplyTo {
    /// What this name stands for.
    ///
    /// # Errors
    /// [`PolicyError::ApplyTo`]
    pub fn parse(name: &str) -> Result<Self, PolicyError> {
        Ok(match name {
            "all" => Self::All,
            "queues" => Self::Queues,
            "classic_queues" => Self::ClassicQueues,
            "quorum_queues" => Self::QuorumQueues,
            "streams" => Self::Streams,
            "exchanges" => Self::Exchanges,
            other => return Err(PolicyError::ApplyTo(other.to_owned())),
        })
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Queues => "queues",
            Self::ClassicQueues => "classic_queues",
            Self::QuorumQueues => "quorum_queues",
            Self::Streams => "streams",
            Self::Exchanges => "exchanges",
        }
    }

    fn is_for(self, target: Target) -> bool {
        match (self, target) {
            (Self::All, _) | (Self::Queues, Target::Queue(_)) | (Self::Exchanges, Target::Exchange) => true,
            (_, Target::Queue(QueueType::Classic)) => self == Self::ClassicQueues,
            (_, Target::Queue(QueueType::Quorum)) => self == Self::QuorumQueues,
            (_, Target::Queue(QueueType::Stream)) => self == Self::Streams,
            (_, Target::Exchange) => false,
        }
    }
}

impl Policy {
    /// Checks what a policy is made of.
    ///
    /// # Errors
    /// [`PolicyError`]; an operator's may say less than a user's.
    pub fn new(kind: PolicyKind, new: NewPolicy) -> Result<Self, PolicyError> {
        let pattern = Regex::new(&new.pattern).map_err(|error| PolicyError::Pattern(error.to_string()))?;
        keys::check(kind, &new.definition)?;
        let NewPolicy { name, apply_to, priority, definition, .. } = new;
        Ok(Self { name: name.into(), pattern, apply_to, priority, definition })
    }

    /// Its pattern.
    #[must_use]
    pub fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    fn acts_on(&self, target: Target, name: &str) -> bool {
        let is_known = |target| match target {
            Target::Queue(queue_type) => keys::are_known(&self.definition, queue_type),
            Target::Exchange => true,
        };
        self.apply_to.is_for(target) && is_known(target) && self.pattern.is_match(name).unwrap_or_default()
    }
}

impl Policies {
    fn of_kind(&mut self, kind: PolicyKind) -> &mut Vec<Arc<Policy>> {
        match kind {
            PolicyKind::User => &mut self.user,
            PolicyKind::Operator => &mut self.operator,
        }
    }

    /// All of a kind, in order of their names.
    pub(crate) fn all(&self, kind: PolicyKind) -> Vec<Arc<Policy>> {
        match kind {
            PolicyKind::User => self.user.clone(),
            PolicyKind::Operator => self.operator.clone(),
        }
    }

    /// Adds a policy, in place of one of the same name.
    pub(crate) fn set(&mut self, kind: PolicyKind, policy: Policy) {
        let policies = self.of_kind(kind);
        match policies.binary_search_by(|known| known.name.cmp(&policy.name)) {
            Ok(place) => {
                if let Some(known) = policies.get_mut(place) {
                    *known = Arc::new(policy);
                }
            }
            Err(place) => policies.insert(place, Arc::new(policy)),
        }
    }

    /// Removes a policy; false when there is none of this name.
    pub(crate) fn remove(&mut self, kind: PolicyKind, name: &str) -> bool {
        let policies = self.of_kind(kind);
        let before = policies.len();
        policies.retain(|policy| &*policy.name != name);
        policies.len() < before
    }

    /// Those that act on a queue or exchange of this name.
    pub(crate) fn of(&self, target: Target, name: &str) -> Applied {
        let find = |policies: &[Arc<Policy>]| {
            let matching = policies.iter().filter(|policy| policy.acts_on(target, name));
            // Of equals the first by name.
            matching.min_by_key(|policy| std::cmp::Reverse(policy.priority)).cloned()
        };
        Applied { user: find(&self.user), operator: find(&self.operator) }
    }
}

impl Applied {
    /// What both say together; empty when there are none.
    #[must_use]
    pub fn definition(&self) -> FieldTable {
        let of = |policy: &Option<Arc<Policy>>| policy.as_ref().map(|policy| policy.definition.clone());
        match (of(&self.user), of(&self.operator)) {
            (Some(user), Some(operator)) => merge_definitions(&user, &operator),
            (user, operator) => user.or(operator).unwrap_or_default(),
        }
    }

    /// Whether none acts.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.user.is_none() && self.operator.is_none()
    }
}

/// Settings as Erlang prints a list of them.
struct Settings<'a>(&'a [(&'a [u8], &'a FieldValue)]);

impl Display for Settings<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (place, (key, value)) in self.0.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma}{{{},{}}}", Binary(key), Term(value))?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests;
