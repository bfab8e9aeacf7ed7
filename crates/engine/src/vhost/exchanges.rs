//! Declaring and deleting exchanges.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use leveret_codec::table::FieldTable;

use crate::delay::INNER_TYPE;
use crate::error::Error;
use crate::exchange::table::validate_arguments;
use crate::exchange::{ALTERNATE_EXCHANGE, Exchange};
use crate::journal::{Lsn, Record};
use crate::names::Name;
use crate::permission::{Resource, Verb};
use crate::queue::arguments::{check_alternate_exchange, check_equivalent, check_same};
use crate::user::User;
use crate::vhost::bindings::Bindings;
use crate::vhost::delayed::{check_type, routing_kind};
use crate::vhost::{Vhost, check_short, without_line_breaks};

/// What an exchange.declare asks for.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "AMQP's own names")]
pub struct ExchangeDeclare<'a> {
    pub name: &'a str,
    pub kind: &'a str,
    pub durable: bool,
    pub auto_delete: bool,
    pub internal: bool,
    pub arguments: &'a FieldTable,
}

impl Vhost {
    /// Whether the exchange is there.
    ///
    /// # Errors
    /// [`Error::DefaultExchange`], [`Error::AccessRefused`], [`Error::NoExchange`]
    pub fn declare_exchange_passively(&self, name: &str, user: &User) -> Result<(), Error> {
        let name = without_line_breaks(name);
        not_default(&name)?;
        user.check_any(self, Resource::Exchange(&name))?;
        self.exchange(&name).map(drop)
    }

    /// Creates an exchange, or compares it with the one that is there.
    ///
    /// # Errors
    /// [`Error::DefaultExchange`], [`Error::AccessRefused`], [`Error::UnknownExchangeType`], [`Error::ReservedName`],
    /// [`Error::LongName`], [`Error::Argument`], [`Error::TooManyExchanges`], [`Error::Exchange`]
    pub fn declare_exchange(&self, declare: &ExchangeDeclare<'_>, user: &User) -> Result<Lsn, Error> {
        let name = &*without_line_breaks(declare.name);
        check_short("exchange", name)?;
        check_type(declare.kind)?;
        not_default(name)?;
        user.check(self, Verb::Configure, Resource::Exchange(name))?;
        let mut topology = self.topology.lock();
        if let Some(existing) = self.exchanges.get(name) {
            self.check_same_exchange(&existing, declare)?;
            return Ok(topology.lsn_if(existing.durable));
        }
        self.check_there()?;
        if name.starts_with("amq.") {
            return Err(Error::ReservedName { kind: "exchange", name: name.to_owned() });
        }
        let kind = routing_kind(declare.kind, declare.arguments)?;
        check_alternate_exchange(name, &self.name, declare.arguments)?;
        let exchange = Exchange::new(
            name.into(),
            kind,
            declare.durable,
            declare.auto_delete,
            declare.internal,
            declare.arguments.clone(),
        );
        if let Some(alternate) = &exchange.alternate {
            user.check(self, Verb::Read, Resource::Exchange(name))?;
            user.check(self, Verb::Write, Resource::Exchange(alternate))?;
        }
        if let Some(limit) = self.services.node.exchanges.reached() {
            let (exchange, vhost) = (name.to_owned(), Name::clone(&self.name));
            return Err(Error::TooManyExchanges { exchange, vhost, limit });
        }
        validate_arguments(kind, declare.arguments)?;
        let exchange = self.with_hidden_queue(&mut topology, exchange, declare.kind);
        Ok(self.add_exchange(&mut topology, exchange, &user.name))
    }

    fn check_same_exchange(&self, existing: &Exchange, declare: &ExchangeDeclare<'_>) -> Result<(), Error> {
        let same = |property, current: &str, received: &str| {
            check_same("exchange", &existing.name, &self.name, property, current, received)
        };
        same("type", &atom(existing.type_name()), &atom(declare.kind))?;
        same("durable", bool_text(existing.durable), bool_text(declare.durable))?;
        same("auto_delete", bool_text(existing.auto_delete), bool_text(declare.auto_delete))?;
        same("internal", bool_text(existing.internal), bool_text(declare.internal))?;
        check_equivalent(
            "exchange",
            &existing.name,
            &self.name,
            if existing.delay.is_some() { &[ALTERNATE_EXCHANGE, INNER_TYPE] } else { &[ALTERNATE_EXCHANGE] },
            &existing.arguments,
            declare.arguments,
        )?;
        Ok(())
    }

    fn add_exchange(&self, topology: &mut Bindings, exchange: Exchange, user: &str) -> Lsn {
        let exchange = self.insert_exchange(exchange);
        self.services.event("exchange.created", |fields| {
            let fields = fields.text("name", &exchange.name).text("vhost", &self.name);
            let fields = fields.text("type", exchange.type_name()).flag("durable", exchange.durable);
            let fields = fields.flag("auto_delete", exchange.auto_delete).flag("internal", exchange.internal);
            fields.table("arguments", &exchange.arguments).text("policy", "").by(user)
        });
        if !exchange.durable {
            return Lsn::default();
        }
        let record = Record::ExchangeDeclared {
            vhost: &self.name,
            name: &exchange.name,
            kind: exchange.type_name(),
            auto_delete: exchange.auto_delete,
            internal: exchange.internal,
            arguments: &exchange.arguments,
        };
        self.write(topology, &record)
    }

    pub(crate) fn insert_exchange(&self, exchange: Exchange) -> Arc<Exchange> {
        self.apply_policies_to_exchange(&exchange);
        let exchange = Arc::new(exchange);
        if self.exchanges.insert_new(Name::clone(&exchange.name), Arc::clone(&exchange)) {
            self.services.node.exchanges.one_more();
        }
        self.exchange_generation.fetch_add(1, Ordering::AcqRel);
        exchange
    }

    /// Deletes an exchange and its bindings; that it is not there is no error.
    ///
    /// # Errors
    /// [`Error::DefaultExchange`], [`Error::AccessRefused`], [`Error::SystemExchange`], [`Error::ExchangeInUse`]
    pub fn delete_exchange(&self, name: &str, if_unused: bool, user: &User) -> Result<Lsn, Error> {
        let name = &*without_line_breaks(name);
        not_default(name)?;
        if name.starts_with("amq.") {
            return Err(Error::SystemExchange { exchange: name.to_owned(), vhost: Name::clone(&self.name) });
        }
        user.check(self, Verb::Configure, Resource::Exchange(name))?;
        let mut topology = self.topology.lock();
        let Some(exchange) = self.exchanges.get(name) else { return Ok(topology.last_lsn) };
        if if_unused && topology.has_source(name) {
            return Err(Error::ExchangeInUse { exchange: Name::clone(&exchange.name), vhost: Name::clone(&self.name) });
        }
        Ok(self.remove_exchange(&mut topology, &exchange, &user.name))
    }

    /// Removes an exchange, and those that go with their last binding by that.
    pub(super) fn remove_exchange(&self, topology: &mut Bindings, exchange: &Exchange, user: &str) -> Lsn {
        let mut bare = Vec::new();
        let removed = self.remove_one_exchange(topology, exchange, user, &mut bare);
        removed.max(self.auto_delete_exchanges(topology, bare))
    }

    /// Removes an exchange; `bare` is told of those that lost a binding by it.
    pub(super) fn remove_one_exchange(
        &self,
        topology: &mut Bindings,
        exchange: &Exchange,
        user: &str,
        bare: &mut Vec<Name>,
    ) -> Lsn {
        self.services
            .event("exchange.deleted", |fields| fields.text("name", &exchange.name).text("vhost", &self.name).by(user));
        if self.exchanges.remove(&exchange.name).is_some() {
            self.services.node.exchanges.one_less();
        }
        self.exchange_generation.fetch_add(1, Ordering::AcqRel);
        let unbound = self.unbind_all_of_exchange(topology, &exchange.name, bare);
        let dropped = self.remove_hidden_queue(topology, exchange);
        if !exchange.durable {
            return unbound.max(dropped);
        }
        self.write(topology, &Record::ExchangeDeleted { vhost: &self.name, name: &exchange.name })
    }
}

/// The text of a boolean in a refusal.
pub(super) fn bool_text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// A type's name as Erlang prints an atom, which is what it is to RabbitMQ.
fn atom(name: &str) -> std::borrow::Cow<'_, str> {
    if name.contains('-') { format!("'{name}'").into() } else { name.into() }
}

/// Refuses the default exchange.
pub(super) fn not_default(name: &str) -> Result<(), Error> {
    if name.is_empty() { Err(Error::DefaultExchange) } else { Ok(()) }
}
