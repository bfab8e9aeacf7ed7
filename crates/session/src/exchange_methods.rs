//! exchange.declare, delete, bind and unbind.

use leveret_codec::method::{
    ExchangeBind, ExchangeBindOk, ExchangeDeclare, ExchangeDeclareOk, ExchangeDelete, ExchangeDeleteOk, ExchangeUnbind,
    ExchangeUnbindOk, Method,
};
use leveret_codec::table::{FieldTable, TableRef};
use leveret_engine::error::Error;
use leveret_engine::journal::Lsn;
use leveret_engine::permission::{Resource, Verb};
use leveret_engine::vhost::{self, BindingKey, without_line_breaks};

use crate::connection::{Connection, Home, cannot_decode};
use crate::error::{Failure, Refused};

impl Connection {
    pub(crate) fn exchange_method(&mut self, number: u16, home: &Home, method: &Method<'_>) -> Result<(), Failure> {
        let ids = method.ids();
        match method {
            Method::ExchangeDeclare(declare) => self.exchange_declare(number, home, declare, ids),
            Method::ExchangeDelete(delete) => self.exchange_delete(number, home, delete, ids),
            Method::ExchangeBind(bind) => self.exchange_bind(number, home, bind, ids),
            Method::ExchangeUnbind(unbind) => self.exchange_unbind(number, home, unbind, ids),
            _ => Ok(()),
        }
    }

    fn exchange_declare(
        &mut self,
        number: u16,
        home: &Home,
        declare: &ExchangeDeclare<'_>,
        ids: (u16, u16),
    ) -> Result<(), Failure> {
        let arguments = arguments(declare.arguments)?;
        let lsn = if declare.passive {
            home.vhost.declare_exchange_passively(declare.exchange, &home.user).refused(ids)?;
            Lsn::default()
        } else {
            let asked = vhost::ExchangeDeclare {
                name: declare.exchange,
                kind: declare.type_,
                durable: declare.durable,
                auto_delete: declare.auto_delete,
                internal: declare.internal,
                arguments: &arguments,
            };
            home.vhost.declare_exchange(&asked, &home.user).refused(ids)?
        };
        self.reply_when_durable(number, declare.nowait, lsn, ExchangeDeclareOk);
        Ok(())
    }

    fn exchange_delete(
        &mut self,
        number: u16,
        home: &Home,
        delete: &ExchangeDelete<'_>,
        ids: (u16, u16),
    ) -> Result<(), Failure> {
        let lsn = home.vhost.delete_exchange(delete.exchange, delete.if_unused, &home.user).refused(ids)?;
        self.reply_when_durable(number, delete.nowait, lsn, ExchangeDeleteOk);
        Ok(())
    }

    fn exchange_bind(
        &mut self,
        number: u16,
        home: &Home,
        bind: &ExchangeBind<'_>,
        ids: (u16, u16),
    ) -> Result<(), Failure> {
        let (source, destination) = (without_line_breaks(bind.source), without_line_breaks(bind.destination));
        check_exchange_ends(home, &source, &destination).refused(ids)?;
        check_binding_key(home, &source, bind.routing_key).refused(ids)?;
        let arguments = arguments(bind.arguments)?;
        let user = &*home.user.name;
        let key = BindingKey { source: &source, routing_key: bind.routing_key.as_bytes(), arguments: &arguments, user };
        let lsn = home.vhost.bind_exchange(&key, &destination, &mut self.effects).refused(ids)?;
        self.effects.carry_out();
        self.reply_when_durable(number, bind.nowait, lsn, ExchangeBindOk);
        Ok(())
    }

    fn exchange_unbind(
        &mut self,
        number: u16,
        home: &Home,
        unbind: &ExchangeUnbind<'_>,
        ids: (u16, u16),
    ) -> Result<(), Failure> {
        let (source, destination) = (without_line_breaks(unbind.source), without_line_breaks(unbind.destination));
        check_exchange_ends(home, &source, &destination).refused(ids)?;
        check_binding_key(home, &source, unbind.routing_key).refused(ids)?;
        let arguments = arguments(unbind.arguments)?;
        let user = &*home.user.name;
        let key =
            BindingKey { source: &source, routing_key: unbind.routing_key.as_bytes(), arguments: &arguments, user };
        let lsn = home.vhost.unbind_exchange(&key, &destination);
        self.reply_when_durable(number, unbind.nowait, lsn, ExchangeUnbindOk);
        Ok(())
    }
}

/// The right to bind one exchange to another, neither of which is the default one.
fn check_exchange_ends(home: &Home, source: &str, destination: &str) -> Result<(), Error> {
    home.user.check(&home.vhost, Verb::Write, Resource::Exchange(destination))?;
    if source.is_empty() || destination.is_empty() {
        return Err(Error::DefaultExchange);
    }
    home.user.check(&home.vhost, Verb::Read, Resource::Exchange(source))
}

/// The right to bind with this key, where the source is a topic exchange.
pub(crate) fn check_binding_key(home: &Home, source: &str, key: &str) -> Result<(), Error> {
    match home.vhost.exchange(source) {
        Ok(source) => home.user.check_topic(&home.vhost, Verb::Read, &source, key.as_bytes()),
        // That it is missing is told later.
        Err(_) => Ok(()),
    }
}

/// Decodes the arguments of a method.
pub(crate) fn arguments(table: TableRef<'_>) -> Result<FieldTable, Failure> {
    table.decode().map_err(|_| cannot_decode(table.as_bytes()))
}
