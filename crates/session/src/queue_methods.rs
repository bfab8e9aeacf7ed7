//! queue.declare, bind, unbind, purge and delete.

use std::borrow::Cow;

use leveret_codec::method::{
    Method, QueueBind, QueueBindOk, QueueDeclare, QueueDeclareOk, QueueDelete, QueueDeleteOk, QueuePurge, QueuePurgeOk,
    QueueUnbind, QueueUnbindOk,
};
use leveret_codec::reply_code::ReplyCode;
use leveret_engine::error::Error;
use leveret_engine::journal::Lsn;
use leveret_engine::names::Name;
use leveret_engine::permission::{Resource, Verb};
use leveret_engine::queue::Counts;
use leveret_engine::stream::StreamRefused;
use leveret_engine::vhost::{self, BindingKey, without_line_breaks};

use crate::basic_methods::refuse_address;
use crate::connection::{Connection, Home};
use crate::error::{Failure, Refused};
use crate::exchange_methods::{arguments, check_binding_key};
use crate::reply_to::{REPLY_TO, is_reply_to};

impl Connection {
    pub(crate) fn queue_method(&mut self, number: u16, home: &Home, method: &Method<'_>) -> Result<(), Failure> {
        let ids = method.ids();
        match method {
            Method::QueueDeclare(declare) => self.queue_declare(number, home, declare, ids),
            Method::QueueBind(bind) => self.queue_bind(number, home, bind, ids),
            Method::QueueUnbind(unbind) => self.queue_unbind(number, home, unbind, ids),
            Method::QueuePurge(purge) => self.queue_purge(number, home, purge, ids),
            Method::QueueDelete(delete) => self.queue_delete(number, home, delete, ids),
            _ => Ok(()),
        }
    }

    /// The queue that `name` stands for: an empty one is the last that the channel declared.
    pub(crate) fn queue_name<'n>(&self, number: u16, name: &'n str, ids: (u16, u16)) -> Result<Cow<'n, str>, Failure> {
        if !name.is_empty() {
            return Ok(name.into());
        }
        let last = self.channels.get(&number).and_then(|channel| channel.last_queue.as_ref());
        match last {
            Some(last) => Ok(last.to_string().into()),
            None => Err(Failure::new(ReplyCode::NotFound, "no previously declared queue", ids)),
        }
    }

    fn queue_declare(
        &mut self,
        number: u16,
        home: &Home,
        declare: &QueueDeclare<'_>,
        ids: (u16, u16),
    ) -> Result<(), Failure> {
        let (name, counts, lsn) = if is_reply_to(declare.queue) {
            let (name, counts) = Self::probe_replies(home, declare.queue, ids)?;
            (name, counts, Lsn::default())
        } else if declare.passive {
            let name = self.queue_name(number, declare.queue, ids)?;
            let (name, counts) = home.vhost.declare_queue_passively(&name, &home.user, self.id).refused(ids)?;
            (name, counts, Lsn::default())
        } else {
            self.queue_declare_actively(home, declare, ids)?
        };
        let clamp = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (messages, consumers) = (clamp(counts.ready), clamp(counts.consumers));
        let ok = QueueDeclareOk { queue: &name, message_count: messages, consumer_count: consumers };
        self.reply_when_durable(number, declare.nowait, lsn, ok);
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.last_queue = Some(name);
        }
        Ok(())
    }

    /// queue.declare of somebody's address asks whether the requester is still there. The pseudo queue itself always is: by it
    /// clients find out whether there are direct replies at all.
    fn probe_replies(home: &Home, name: &str, ids: (u16, u16)) -> Result<(Name, Counts), Failure> {
        if name != REPLY_TO {
            home.vhost.queue(name).refused(ids)?;
        }
        Ok((name.into(), Counts { consumers: 1, ..Counts::default() }))
    }

    fn queue_declare_actively(
        &mut self,
        home: &Home,
        declare: &QueueDeclare<'_>,
        ids: (u16, u16),
    ) -> Result<(Name, Counts, Lsn), Failure> {
        let arguments = arguments(declare.arguments)?;
        let asked = vhost::QueueDeclare {
            name: declare.queue,
            durable: declare.durable,
            exclusive: declare.exclusive,
            auto_delete: declare.auto_delete,
            arguments: &arguments,
            random: (self.config.random)(),
        };
        let (queue, counts, lsn) = home.vhost.declare_queue(&asked, &home.user, self.id).refused(ids)?;
        if queue.owner.is_some() {
            self.owned_queues.insert(&queue);
        }
        Ok((Name::clone(&queue.name), counts, lsn))
    }

    fn queue_bind(&mut self, number: u16, home: &Home, bind: &QueueBind<'_>, ids: (u16, u16)) -> Result<(), Failure> {
        let queue = self.queue_name(number, bind.queue, ids)?;
        let routing_key = routing_key(bind.queue, bind.routing_key, &queue);
        let (queue, source) = (without_line_breaks(&queue), without_line_breaks(bind.exchange));
        check_ends(home, &source, &queue).refused(ids)?;
        check_binding_key(home, &source, routing_key).refused(ids)?;
        let arguments = arguments(bind.arguments)?;
        let user = &*home.user.name;
        let key = BindingKey { source: &source, routing_key: routing_key.as_bytes(), arguments: &arguments, user };
        let lsn = home.vhost.bind_queue(&key, &queue, self.id, &mut self.effects).refused(ids)?;
        self.effects.carry_out();
        self.reply_when_durable(number, bind.nowait, lsn, QueueBindOk);
        Ok(())
    }

    fn queue_unbind(
        &mut self,
        number: u16,
        home: &Home,
        unbind: &QueueUnbind<'_>,
        ids: (u16, u16),
    ) -> Result<(), Failure> {
        let queue = self.queue_name(number, unbind.queue, ids)?;
        let routing_key = routing_key(unbind.queue, unbind.routing_key, &queue);
        let (queue, source) = (without_line_breaks(&queue), without_line_breaks(unbind.exchange));
        check_ends(home, &source, &queue).refused(ids)?;
        check_binding_key(home, &source, routing_key).refused(ids)?;
        let arguments = arguments(unbind.arguments)?;
        let user = &*home.user.name;
        let key = BindingKey { source: &source, routing_key: routing_key.as_bytes(), arguments: &arguments, user };
        let lsn = home.vhost.unbind_queue(&key, &queue, self.id).refused(ids)?;
        self.reply_when_durable(number, false, lsn, QueueUnbindOk);
        Ok(())
    }

    fn queue_purge(
        &mut self,
        number: u16,
        home: &Home,
        purge: &QueuePurge<'_>,
        ids: (u16, u16),
    ) -> Result<(), Failure> {
        let name = self.queue_name(number, purge.queue, ids)?;
        home.user.check(&home.vhost, Verb::Read, Resource::Queue(&name)).refused(ids)?;
        refuse_address(home, &name).refused(ids)?;
        let queue = home.vhost.usable_queue(&name, self.id).refused(ids)?;
        if queue.is_stream() {
            return Err(Error::from(StreamRefused::purge(&queue))).refused(ids);
        }
        let purged = queue.purge();
        let message_count = u32::try_from(purged.messages).unwrap_or(u32::MAX);
        self.reply_when_durable(number, purge.nowait, purged.lsn, QueuePurgeOk { message_count });
        Ok(())
    }

    fn queue_delete(
        &mut self,
        number: u16,
        home: &Home,
        delete: &QueueDelete<'_>,
        ids: (u16, u16),
    ) -> Result<(), Failure> {
        let name = self.queue_name(number, delete.queue, ids)?;
        refuse_address(home, &name).refused(ids)?;
        let conditions = (delete.if_unused, delete.if_empty);
        let deleted =
            home.vhost.delete_queue(&name, conditions, &home.user, self.id, &mut self.effects).refused(ids)?;
        let message_count = u32::try_from(deleted.messages).unwrap_or(u32::MAX);
        self.reply_when_durable(number, delete.nowait, deleted.lsn, QueueDeleteOk { message_count });
        // Consumers hear of it afterwards, the client's own among them.
        self.effects.carry_out();
        Ok(())
    }
}

/// An empty routing key with an empty queue name is the name of the queue that it stands for.
fn routing_key<'k>(asked_queue: &str, routing_key: &'k str, queue: &'k str) -> &'k str {
    if asked_queue.is_empty() && routing_key.is_empty() { queue } else { routing_key }
}

/// The right to bind a queue to an exchange that is not the default one.
fn check_ends(home: &Home, source: &str, queue: &str) -> Result<(), Error> {
    home.user.check(&home.vhost, Verb::Write, Resource::Queue(queue))?;
    if source.is_empty() {
        return Err(Error::DefaultExchange);
    }
    if is_reply_to(queue) {
        return Err(Error::ReplyQueue);
    }
    home.user.check(&home.vhost, Verb::Read, Resource::Exchange(source))
}
