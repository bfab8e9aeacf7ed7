//! Permissions: three patterns over resource names for each user and vhost (RabbitMQ, access control), or whoever else is asked.

use fancy_regex::Regex;
use hashbrown::HashMap;

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
    /// Its name, as permissions are called by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
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

/// Answers for a user whose permissions are kept elsewhere, in place of patterns. It may block; what it allows to publish is
/// remembered until the user's [generation](User::generation) rises.
pub trait Authorizer: Send + Sync + std::fmt::Debug {
    /// Whether the user may connect to a vhost.
    fn allows_vhost(&self, user: &str, vhost: &str) -> bool;

    /// Whether the user may do this to a queue or exchange; the default exchange goes by the name `amq.default`.
    fn allows_resource(&self, user: &str, vhost: &str, verb: Verb, resource: Resource<'_>) -> bool;

    /// Whether the user may publish to a topic exchange (write) or bind to it (read) with this key.
    fn allows_topic(&self, user: &str, vhost: &str, verb: Verb, exchange: &str, key: &str) -> bool;

    /// When the login comes to its end, in milliseconds since 1970; none is never.
    fn expires_at_ms(&self) -> Option<u64> {
        None
    }

    /// The tags that its secret gives the user now; none where they do not come by it.
    fn tags(&self) -> Option<Vec<String>> {
        None
    }

    /// Takes a new secret in place of the one that the user logged in with. Nothing changes where secrets do not end.
    ///
    /// # Errors
    /// Why it is refused.
    fn renew(&self, _user: &str, _secret: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// All permissions of a user.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// By vhost; without an entry the vhost is refused.
    pub permissions: HashMap<Name, Permissions>,
    /// By vhost and topic exchange; without an entry any key is allowed.
    pub topic_permissions: HashMap<(Name, Name), TopicPermissions>,
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
    write: TopicPattern,
    read: TopicPattern,
}

#[derive(Clone, Debug)]
enum Pattern {
    /// `.*`
    All,
    /// The empty pattern grants nothing.
    Empty,
    /// Nor does `^$`.
    Nothing,
    Regex(Regex),
}

/// A pattern as it was given, and with what stands for user and vhost filled in.
#[derive(Clone, Debug)]
struct TopicPattern {
    given: Box<str>,
    pattern: Pattern,
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, fancy_regex::Error> {
        Ok(match pattern {
            ".*" => Self::All,
            "" => Self::Empty,
            "^$" => Self::Nothing,
            other => Self::Regex(Regex::new(other)?),
        })
    }

    fn as_str(&self) -> &str {
        match self {
            Self::All => ".*",
            Self::Empty => "",
            Self::Nothing => "^$",
            Self::Regex(regex) => regex.as_str(),
        }
    }

    fn allows(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Empty | Self::Nothing => false,
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

    /// The pattern for names that it may create and delete.
    #[must_use]
    pub fn configure(&self) -> &str {
        self.configure.as_str()
    }

    /// The pattern for names where it may put messages.
    #[must_use]
    pub fn write(&self) -> &str {
        self.write.as_str()
    }

    /// The pattern for names where it may take messages from.
    #[must_use]
    pub fn read(&self) -> &str {
        self.read.as_str()
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
        let expanded = |given: &str| {
            let pattern =
                given.replace("{username}", &fancy_regex::escape(user)).replace("{vhost}", &fancy_regex::escape(vhost));
            // Known to MQTT alone; here it is a text like any other.
            let pattern = pattern.replace("{client_id}", &fancy_regex::escape("{client_id}"));
            Pattern::new(&pattern).map(|pattern| TopicPattern { given: given.into(), pattern })
        };
        Ok(Self { write: expanded(write)?, read: expanded(read)? })
    }

    /// The pattern for keys of publishes, as it was given.
    #[must_use]
    pub fn write(&self) -> &str {
        &self.write.given
    }

    /// The pattern for keys of bindings, as it was given.
    #[must_use]
    pub fn read(&self) -> &str {
        &self.read.given
    }

    fn allows(&self, verb: Verb, key: &str) -> bool {
        let pattern = if verb == Verb::Read { &self.read } else { &self.write };
        pattern.pattern.allows(key)
    }
}

impl User {
    /// Whether the user may connect to the vhost.
    #[must_use]
    pub fn may_enter(&self, vhost: &str) -> bool {
        match self.authorizer() {
            Some(authorizer) => authorizer.allows_vhost(&self.name, vhost),
            None => self.rights().permissions.contains_key(vhost),
        }
    }

    /// Whether the user may publish to a topic exchange (write) or bind to it (read) with this key.
    ///
    /// # Errors
    /// [`Error::AccessRefused`]
    pub fn check_topic(&self, vhost: &Vhost, verb: Verb, exchange: &Exchange, key: &[u8]) -> Result<(), Error> {
        if exchange.kind != ExchangeKind::Topic {
            return Ok(());
        }
        let key = String::from_utf8_lossy(key);
        let allowed = match self.authorizer() {
            Some(authorizer) => authorizer.allows_topic(&self.name, &vhost.name, verb, &exchange.name, &key),
            None => {
                let rights = self.rights();
                if rights.topic_permissions.is_empty() {
                    return Ok(());
                }
                let place = (Name::clone(&vhost.name), Name::clone(&exchange.name));
                rights.topic_permissions.get(&place).is_none_or(|permissions| permissions.allows(verb, &key))
            }
        };
        if allowed {
            return Ok(());
        }
        Err(Error::AccessRefused {
            verb: verb.as_str(),
            resource: format!("topic '{key}' in exchange '{}' in vhost '{}'", exchange.name, vhost.name),
            user: Name::clone(&self.name),
        })
    }

    /// Whether keys of topic exchanges have to be looked at.
    #[must_use]
    pub fn has_topic_permissions(&self) -> bool {
        self.authorizer().is_some() || !self.rights().topic_permissions.is_empty()
    }

    /// Whether the user may do `verb` to `resource`; the default exchange goes by the name `amq.default`.
    ///
    /// # Errors
    /// [`Error::AccessRefused`]
    pub fn check(&self, vhost: &Vhost, verb: Verb, resource: Resource<'_>) -> Result<(), Error> {
        let (kind, name) = match resource {
            Resource::Exchange("") => ("exchange", "amq.default"),
            Resource::Exchange(name) => ("exchange", name),
            Resource::Queue(name) => ("queue", name),
        };
        let allowed = match self.authorizer() {
            Some(authorizer) => {
                let resource = if kind == "queue" { Resource::Queue(name) } else { Resource::Exchange(name) };
                authorizer.allows_resource(&self.name, &vhost.name, verb, resource)
            }
            None => {
                let rights = self.rights();
                rights.permissions.get(&vhost.name).is_some_and(|permissions| permissions.allows(verb, name))
            }
        };
        if allowed {
            return Ok(());
        }
        Err(Error::AccessRefused {
            verb: verb.as_str(),
            resource: format!("{kind} '{name}' in vhost '{}'", vhost.name),
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
