//! Permissions: three patterns over resource names for each user and vhost (RabbitMQ, access control).

use fancy_regex::Regex;

use crate::error::Error;
use crate::exchange::{Exchange, ExchangeKind};
use crate::names::Name;
use crate::user::User;
use crate::vhost::Vhost;

/// What is to be done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Create and delete.
    Configure,
    /// Put messages in.
    Write,
    /// Take messages out.
    Read,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// What something is to be done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// An exchange by name.
    Exchange(&'a str),
    /// A queue by name.
    Queue(&'a str),
}

/// The patterns of one user in one vhost. A pattern is searched for anywhere in the name.
#[derive(Clone, Debug)]
pub struct Permissions {
    configure: Pattern,
    write: Pattern,
    read: Pattern,
}

/// The patterns of one user for routing keys of one topic exchange. Without them its keys are not looked at.
#[derive(Clone, Debug)]
pub struct TopicPermissions {
    write: Pattern,
    read: Pattern,
}

#[derive(Clone, Debug)]
enum Pattern {
    /// `.*`
    All,
    /// The empty pattern grants nothing.
    Nothing,
    Regex(Regex),
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, fancy_regex::Error> {
        Ok(match pattern {
            ".*" => Self::All,
            "" | "^$" => Self::Nothing,
            other => Self::Regex(Regex::new(other)?),
        })
    }

    fn allows(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            // A pattern that takes too long to match does not.
            Self::Regex(regex) => regex.is_match(name).unwrap_or_default(),
        }
    }
}

impl Permissions {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self { configure: Pattern::All, write: Pattern::All, read: Pattern::All }
    }

    /// Permissions by the three patterns.
    ///
    /// # Errors
    /// When a pattern is no regular expression.
    pub fn new(configure: &str, write: &str, read: &str) -> Result<Self, fancy_regex::Error> {
        Ok(Self { configure: Pattern::new(configure)?, write: Pattern::new(write)?, read: Pattern::new(read)? })
    }

    fn allows(&self, verb: Verb, name: &str) -> bool {
        match verb {
            Verb::Configure => self.configure.allows(name),
            Verb::Write => self.write.allows(name),
            Verb::Read => self.read.allows(name),
        }
    }
}

impl TopicPermissions {
    /// Permissions by patterns for the keys of publishes and of bindings. `{username}` and `{vhost}` in them stand for those.
    ///
    /// # Errors
    /// When a pattern is no regular expression.
    pub fn new(write: &str, read: &str, user: &str, vhost: &str) -> Result<Self, fancy_regex::Error> {
        let expanded = |pattern: &str| {
            let pattern = pattern
                .replace("{username}", &fancy_regex::escape(user))
                .replace("{vhost}", &fancy_regex::escape(vhost));
            // Known to MQTT alone; here it is a text like any other.
            Pattern::new(&pattern.replace("{client_id}", &fancy_regex::escape("{client_id}")))
        };
        Ok(Self { write: expanded(write)?, read: expanded(read)? })
    }
}

impl User {
    /// Whether the user may publish to a topic exchange (write) or bind to it (read) with this key.
    ///
    /// # Errors
    /// [`Error::AccessRefused`]
    pub fn check_topic(&self, vhost: &Vhost, verb: Verb, exchange: &Exchange, key: &[u8]) -> Result<(), Error> {
        if self.topic_permissions.is_empty() || exchange.kind != ExchangeKind::Topic {
            return Ok(());
        }
        let place = (Name::clone(&vhost.name), Name::clone(&exchange.name));
        let Some(permissions) = self.topic_permissions.get(&place) else { return Ok(()) };
        let pattern = if verb == Verb::Read { &permissions.read } else { &permissions.write };
        let key = String::from_utf8_lossy(key);
        if pattern.allows(&key) {
            return Ok(());
        }
        Err(Error::AccessRefused {
            verb: verb.as_str(),
            resource: format!("topic '{key}' in exchange '{}' in vhost '{}'", exchange.name, vhost.name),
            user: Name::clone(&self.name),
        })
    }

    /// Whether the user may do `verb` to `resource`; the default exchange goes by the name `amq.default`.
    ///
    /// # Errors
    /// [`Error::AccessRefused`]
    pub fn check(&self, vhost: &Vhost, verb: Verb, resource: Resource<'_>) -> Result<(), Error> {
        let name = match resource {
            Resource::Exchange("") => "amq.default",
            Resource::Exchange(name) | Resource::Queue(name) => name,
        };
        if self.permissions.get(&vhost.name).is_some_and(|permissions| permissions.allows(verb, name)) {
            return Ok(());
        }
        let kind = if matches!(resource, Resource::Queue(_)) { "queue" } else { "exchange" };
        let vhost = &vhost.name;
        Err(Error::AccessRefused {
            verb: verb.as_str(),
            resource: format!("{kind} '{name}' in vhost '{vhost}'"),
            user: Name::clone(&self.name),
        })
    }

    /// Whether the user may do anything at all to `resource`, as a passive declare asks.
    ///
    /// # Errors
    /// [`Error::AccessRefused`] for configure, when none of the three is granted.
    pub fn check_any(&self, vhost: &Vhost, resource: Resource<'_>) -> Result<(), Error> {
        self.check(vhost, Verb::Read, resource)
            .or_else(|_| self.check(vhost, Verb::Write, resource))
            .or_else(|_| self.check(vhost, Verb::Configure, resource))
    }
}
