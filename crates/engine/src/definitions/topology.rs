//! Exchanges, queues and bindings of definitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use leveret_codec::table::{FieldTable, FieldValue};

use super::DefinitionsError;
use super::fields::Item;
use super::import::Import;
use crate::admin::queue_type_named;
use crate::effects::Effects;
use crate::events::INTERNAL_USER;
use crate::journal::Lsn;
use crate::names::ConnectionId;
use crate::permission::{Authorizer, Resource, Verb};
use crate::queue::arguments::{QUEUE_TYPE, QueueType};
use crate::user::User;
use crate::vhost::{BindingKey, ExchangeDeclare, QueueDeclare, Vhost, check_short};

/// No connection: what is imported belongs to none.
const NOBODY: ConnectionId = ConnectionId(0);

/// Whoever imports may do everything.
#[derive(Debug)]
struct Everything;

impl Authorizer for Everything {
    fn allows_vhost(&self, _user: &str, _vhost: &str) -> bool {
        true
    }

    fn allows_resource(&self, _user: &str, _vhost: &str, _verb: Verb, _resource: Resource<'_>) -> bool {
        true
    }

    fn allows_topic(&self, _user: &str, _vhost: &str, _verb: Verb, _exchange: &str, _key: &str) -> bool {
        true
    }
}

impl<'a> Import<'a> {
    fn importer(&self) -> User {
        User::authorized_by(self.actor(), Vec::new(), Arc::new(Everything))
    }

    fn skip(&mut self, what: String) {
        self.imported.skipped.push(what);
    }

    fn note_lsn(&mut self, lsn: Lsn) {
        self.imported.lsn = self.imported.lsn.max(lsn);
    }

    /// Leaves out what no client could ever name.
    fn is_passed_over(&mut self, kind: &'static str, name: &str) -> bool {
        let refused = check_short(kind, name).err();
        if let Some(error) = &refused {
            self.skip(format!("Not importing {kind} '{name}': {error}"));
        }
        refused.is_some()
    }

    fn vhost_of(&self, item: Item<'a>) -> Result<Arc<Vhost>, DefinitionsError> {
        self.existing_vhost(self.vhost_name(item)?)
    }

    /// Refuses more queues than there may be, before any of them is there.
    pub(super) fn check_queue_limits(&self) -> Result<(), DefinitionsError> {
        let mut adding: BTreeMap<&str, usize> = BTreeMap::new();
        for item in self.items("queues", "a queue")? {
            let vhost = self.vhost_name(item)?;
            let is_there = |name| self.broker.vhost(vhost).is_some_and(|vhost| vhost.queue(name).is_ok());
            if !item.text("name").is_some_and(is_there) {
                *adding.entry(vhost).or_default() += 1;
            }
        }
        for (name, adding) in adding {
            let Some(vhost) = self.broker.vhost(name) else { continue };
            let there = vhost.queues_len();
            if let Some(limit) = vhost.limits().queues_max.filter(|limit| (there + adding) as u64 > *limit) {
                return Err(DefinitionsError::TooManyQueues { adding, vhost: name.to_owned(), limit, there });
            }
        }
        Ok(())
    }

    pub(super) fn exchanges(&mut self) -> Result<(), DefinitionsError> {
        let user = self.importer();
        for item in self.items("exchanges", "an exchange")? {
            let (vhost, name) = (self.vhost_of(item)?, item.required("name")?);
            if name.is_empty() {
                self.skip(format!("Not importing the default exchange, acting user: {}", self.actor()));
                continue;
            }
            if name.starts_with("amq.") {
                let actor = self.actor();
                self.skip(format!(
                    "Skipping import of an exchange whose name begins with 'amq.', name: {name}, acting user: {actor}"
                ));
                continue;
            }
            if vhost.exchange(name).is_ok() || self.is_passed_over("exchange", name) {
                continue;
            }
            let arguments = item.arguments()?;
            let declare = ExchangeDeclare {
                name,
                kind: item.text("type").unwrap_or("direct"),
                durable: item.truth("durable", true),
                auto_delete: item.truth("auto_delete", false),
                internal: item.truth("internal", false),
                arguments: &arguments,
            };
            let lsn = vhost.declare_exchange(&declare, &user)?;
            self.note_lsn(lsn);
        }
        Ok(())
    }

    pub(super) fn queues(&mut self) -> Result<(), DefinitionsError> {
        let user = self.importer();
        for item in self.items("queues", "a queue")? {
            let (vhost, name) = (self.vhost_of(item)?, item.required("name")?);
            if name.starts_with("amq.") {
                let actor = self.actor();
                self.skip(format!(
                    "Skipping import of a queue whose name begins with 'amq.', name: {name}, acting user: {actor}"
                ));
                continue;
            }
            if vhost.queue(name).is_ok() || self.is_passed_over("queue", name) {
                continue;
            }
            let declare = QueueDeclare {
                name,
                durable: item.truth("durable", true),
                exclusive: false,
                auto_delete: item.truth("auto_delete", false),
                arguments: &queue_arguments(item, &vhost)?,
                random: [0; 16],
            };
            let (_, _, lsn) = vhost.declare_queue(&declare, &user, NOBODY)?;
            self.note_lsn(lsn);
        }
        Ok(())
    }

    /// What cannot be bound is left out, as RabbitMQ does.
    pub(super) fn bindings(&mut self) -> Result<(), DefinitionsError> {
        let mut effects = Effects::default();
        for item in self.items("bindings", "a binding")? {
            let vhost = self.vhost_of(item)?;
            let (source, destination) = (item.required("source")?, item.required("destination")?);
            if source.is_empty() {
                self.skip(format!("Not importing a binding of '{destination}' to the default exchange"));
                continue;
            }
            let arguments = item.arguments()?;
            let routing_key = item.text("routing_key").unwrap_or_default();
            let user = if self.actor().is_empty() { INTERNAL_USER } else { self.actor() };
            let key = BindingKey { source, routing_key: routing_key.as_bytes(), arguments: &arguments, user };
            let is_short = check_short("routing_key", routing_key);
            let bound = is_short.and_then(|()| match item.text("destination_type") {
                Some("exchange" | "e") => vhost.bind_exchange(&key, destination, &mut effects),
                _ => vhost.bind_queue(&key, destination, NOBODY, &mut effects),
            });
            effects.carry_out();
            match bound {
                Ok(lsn) => self.note_lsn(lsn),
                Err(error) => self.skip(format!("Not importing a binding of '{destination}' to '{source}': {error}")),
            }
        }
        Ok(())
    }
}

/// The arguments of a queue. Its type may stand beside them; it then holds whatever the vhost's default is.
fn queue_arguments(item: Item<'_>, vhost: &Vhost) -> Result<FieldTable, DefinitionsError> {
    let mut arguments = item.arguments()?;
    let named = item.text("type").filter(|_| arguments.get(QUEUE_TYPE).is_none());
    let Some(queue_type) = named.map(queue_type_named).transpose()? else { return Ok(arguments) };
    if queue_type != QueueType::Classic || vhost.default_queue_type() != QueueType::Classic {
        arguments.push(QUEUE_TYPE, FieldValue::LongStr(queue_type.as_str().as_bytes().into()));
    }
    Ok(arguments)
}
