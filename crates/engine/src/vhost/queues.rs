//! Declaring and deleting queues.

use std::borrow::Cow;
use std::sync::{Arc, Weak};

use leveret_codec::table::{FieldTable, FieldValue};

use crate::counters::count_one;
use crate::effects::Effects;
use crate::error::Error;
use crate::events::INTERNAL_USER;
use crate::journal::{Lsn, Record};
use crate::names::{ConnectionId, Name, generated_name};
use crate::permission::{Resource, Verb};
use crate::queue::arguments::{
    QUEUE_TYPE, QueueArguments, QueueProperties, QueueType, check_equivalent_queue, check_same,
};
use crate::queue::{Counts, NewQueue, Queue};
use crate::user::User;
use crate::vhost::bindings::Bindings;
use crate::vhost::exchanges::bool_text;
use crate::vhost::{REPLY_QUEUE_PREFIX, Vhost, check_short, without_line_breaks};

/// What a queue.declare asks for.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "AMQP's own names")]
pub struct QueueDeclare<'a> {
    /// Empty for a name made by the server.
    pub name: &'a str,
    pub durable: bool,
    pub exclusive: bool,
    pub auto_delete: bool,
    pub arguments: &'a FieldTable,
    /// For the name, should one be needed.
    pub random: [u8; 16],
}

/// The outcome of a queue.delete.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueDeleted {
    /// Ready messages that went with it.
    pub messages: usize,
    /// When it is durable that it is gone.
    pub lsn: Lsn,
}

impl Vhost {
    /// Whether the queue is there and may be used; its counts.
    ///
    /// # Errors
    /// [`Error::AccessRefused`], [`Error::NoQueue`], [`Error::QueueLocked`]
    pub fn declare_queue_passively(
        &self,
        name: &str,
        user: &User,
        connection: ConnectionId,
    ) -> Result<(Name, Counts), Error> {
        let name = without_line_breaks(name);
        user.check_any(self, Resource::Queue(&name))?;
        let queue = self.usable_queue(&name, connection)?;
        if queue.settings.queue_type == QueueType::Classic {
            queue.touch();
        }
        Ok((Name::clone(&queue.name), queue.counts()))
    }

    /// Creates a queue, or compares it with the one that is there.
    ///
    /// # Errors
    /// [`Error::AccessRefused`], [`Error::QueueLocked`], [`Error::ReservedName`], [`Error::LongName`], [`Error::Argument`]
    pub fn declare_queue(
        &self,
        declare: &QueueDeclare<'_>,
        user: &User,
        connection: ConnectionId,
    ) -> Result<(Arc<Queue>, Counts, Lsn), Error> {
        let arguments = self.with_default_type(declare);
        let declare = &QueueDeclare { arguments: &arguments, ..*declare };
        let server_named = declare.name.is_empty();
        let name = match server_named {
            true => generated_name("amq.gen-", declare.random),
            false => without_line_breaks(declare.name).into_owned(),
        };
        check_short("queue", &name)?;
        user.check(self, Verb::Configure, Resource::Queue(&name))?;
        count_one(&self.services.churn.queues_declared);
        let mut topology = self.topology.lock();
        if let Some(existing) = self.queues.get(&*name) {
            self.check_same_queue(&existing, declare, connection)?;
            let counts = existing.counts();
            if existing.settings.queue_type == QueueType::Classic {
                existing.touch();
            }
            let lsn = topology.lsn_if(existing.durable);
            return Ok((existing, counts, lsn));
        }
        self.check_there()?;
        if name.starts_with("amq.") && !server_named {
            return Err(Error::ReservedName { kind: "queue", name });
        }
        self.check_queue_limits(&name)?;
        let settings = self.check_new_queue(&name, declare, user, server_named)?;
        let queue = Arc::new(Queue::new(NewQueue {
            id: self.next_queue_id(),
            name: name.into(),
            vhost: Name::clone(&self.name),
            durable: declare.durable && !declare.exclusive,
            auto_delete: declare.auto_delete,
            owner: declare.exclusive.then_some(connection),
            arguments: declare.arguments.clone(),
            settings,
            home: Weak::clone(&self.me),
            services: Arc::clone(&self.services),
        }));
        self.apply_policies_to_new_queue(&queue);
        let lsn = self.add_queue(&mut topology, &queue);
        count_one(&self.services.churn.queues_created);
        self.tell_created(&queue, &user.name);
        drop(topology);
        Ok((queue, Counts::default(), lsn))
    }

    /// Refuses a new queue where there are as many as there may be, here or in all vhosts together.
    fn check_queue_limits(&self, name: &str) -> Result<(), Error> {
        self.check_queue_limit(name)?;
        let limit = self.services.node.queues.reached();
        limit.map_or(Ok(()), |limit| Err(Error::TooManyQueuesInAll { queue: name.to_owned(), limit }))
    }

    /// Called with the topology's lock held.
    fn check_queue_limit(&self, name: &str) -> Result<(), Error> {
        let Some(limit) = self.limits().queues_max.filter(|limit| self.queues.len() as u64 >= *limit) else {
            return Ok(());
        };
        let there = self.queues.all().iter().filter(|queue| !is_of_replies(queue)).count();
        if (there as u64) < limit {
            return Ok(());
        }
        Err(Error::TooManyQueues { queue: name.to_owned(), vhost: Name::clone(&self.name), limit })
    }

    /// The arguments with the vhost's type of queue, where they say none and the queue can be of it.
    fn with_default_type<'a>(&self, declare: &QueueDeclare<'a>) -> Cow<'a, FieldTable> {
        let default = self.default_queue_type();
        let fits = declare.durable && !declare.exclusive && !declare.auto_delete;
        if default == QueueType::Classic || !fits || declare.arguments.get(QUEUE_TYPE).is_some() {
            return Cow::Borrowed(declare.arguments);
        }
        let mut arguments = declare.arguments.clone();
        arguments.push(QUEUE_TYPE, FieldValue::LongStr(default.as_str().as_bytes().into()));
        Cow::Owned(arguments)
    }

    fn check_new_queue(
        &self,
        name: &str,
        declare: &QueueDeclare<'_>,
        user: &User,
        server_named: bool,
    ) -> Result<QueueArguments, Error> {
        let settings = QueueArguments::parse(name, &self.name, declare.arguments)?;
        let properties = QueueProperties {
            durable: declare.durable,
            exclusive: declare.exclusive,
            auto_delete: declare.auto_delete,
            server_named,
        };
        settings.check_properties(name, &self.name, &properties)?;
        if let Some(dead_letter_exchange) = &settings.dead_letter_exchange {
            user.check(self, Verb::Read, Resource::Queue(name))?;
            user.check(self, Verb::Write, Resource::Exchange(dead_letter_exchange))?;
        }
        Ok(settings)
    }

    fn check_same_queue(
        &self,
        existing: &Queue,
        declare: &QueueDeclare<'_>,
        connection: ConnectionId,
    ) -> Result<(), Error> {
        self.check_owner(existing, connection)?;
        if existing.owner.is_some() != declare.exclusive {
            return Err(self.locked(existing));
        }
        let same = |property, current: bool, received: bool| {
            check_same("queue", &existing.name, &self.name, property, bool_text(current), bool_text(received))
        };
        same("durable", existing.durable, declare.durable && !declare.exclusive)?;
        same("auto_delete", existing.auto_delete, declare.auto_delete)?;
        let any_type = self.services.has_relaxed_queue_types();
        check_equivalent_queue(&existing.name, &self.name, &existing.arguments, declare.arguments, any_type)?;
        Ok(())
    }

    /// Creates the hidden queue behind an address for direct replies. It goes with its consumer.
    pub fn add_reply_queue(&self, address: &Name) -> Arc<Queue> {
        let queue = Arc::new(Queue::new(NewQueue {
            id: self.next_queue_id(),
            name: Name::clone(address),
            vhost: Name::clone(&self.name),
            durable: false,
            auto_delete: true,
            owner: None,
            arguments: FieldTable::default(),
            settings: QueueArguments::default(),
            home: Weak::clone(&self.me),
            services: Arc::clone(&self.services),
        }));
        self.add_queue(&mut self.topology.lock(), &queue);
        queue
    }

    fn add_queue(&self, topology: &mut Bindings, queue: &Arc<Queue>) -> Lsn {
        self.insert_queue(queue);
        if !queue.durable {
            return Lsn::default();
        }
        let record = Record::QueueDeclared {
            vhost: &self.name,
            name: &queue.name,
            id: queue.id,
            auto_delete: queue.auto_delete,
            arguments: &queue.arguments,
        };
        self.write(topology, &record)
    }

    pub(super) fn insert_queue(&self, queue: &Arc<Queue>) {
        if self.queues.insert_new(Name::clone(&queue.name), Arc::clone(queue)) && !is_of_replies(queue) {
            self.services.node.queues.one_more();
        }
        queue.start_time();
        self.default_exchange_changed();
    }

    /// Deletes a queue, its messages and bindings; that it is not there is no error.
    ///
    /// # Errors
    /// [`Error::AccessRefused`], [`Error::QueueLocked`], [`Error::QueueInUse`], [`Error::QueueNotEmpty`],
    /// [`Error::ConditionalDelete`]
    pub fn delete_queue(
        &self,
        name: &str,
        (if_unused, if_empty): (bool, bool),
        user: &User,
        connection: ConnectionId,
        effects: &mut Effects,
    ) -> Result<QueueDeleted, Error> {
        let name = without_line_breaks(name);
        user.check(self, Verb::Configure, Resource::Queue(&name))?;
        let Some(queue) = self.queues.get(&*name) else { return Ok(self.deleted_before()) };
        self.check_owner(&queue, connection)?;
        let (queue_name, vhost) = (Name::clone(&queue.name), Name::clone(&self.name));
        if queue.settings.queue_type == QueueType::Quorum && (if_unused || if_empty) {
            let flag = if if_unused { "if-unused" } else { "if-empty" };
            return Err(Error::ConditionalDelete { queue: queue_name, vhost, flag });
        }
        self.remove_queue(&queue, &user.name, effects, |counts| {
            if if_unused && counts.consumers > 0 {
                return Err(Error::QueueInUse { queue: queue_name, vhost });
            }
            if if_empty && counts.ready > 0 {
                return Err(Error::QueueNotEmpty { queue: queue_name, vhost });
            }
            Ok(())
        })
    }

    /// Deletes an exclusive queue with its connection.
    pub fn delete_owned_queue(&self, queue: &Arc<Queue>, effects: &mut Effects) {
        // Nothing is asked of the counts, so that nothing can be refused.
        let _ = self.remove_queue(queue, INTERNAL_USER, effects, |_| Ok(()));
    }

    /// Deletes a queue with its vhost.
    pub(super) fn delete_with_vhost(&self, queue: &Arc<Queue>, user: &str, effects: &mut Effects) {
        let _ = self.remove_queue(queue, user, effects, |_| Ok(()));
    }

    /// Deletes an auto-delete queue, unless a consumer has come meanwhile.
    pub(crate) fn auto_delete(&self, queue: &Arc<Queue>, effects: &mut Effects) {
        let in_use =
            |queue: &Queue| Error::QueueInUse { queue: Name::clone(&queue.name), vhost: Name::clone(&self.name) };
        let _ = self.remove_queue(queue, INTERNAL_USER, effects, |counts| {
            if counts.consumers > 0 { Err(in_use(queue)) } else { Ok(()) }
        });
    }

    fn remove_queue(
        &self,
        queue: &Arc<Queue>,
        user: &str,
        effects: &mut Effects,
        allowed: impl FnOnce(Counts) -> Result<(), Error>,
    ) -> Result<QueueDeleted, Error> {
        let mut topology = self.topology.lock();
        if queue.is_deleted() {
            return Ok(QueueDeleted { messages: 0, lsn: topology.last_lsn });
        }
        let closed = queue.close(allowed, effects)?;
        if self.queues.remove(&queue.name).is_some() && !is_of_replies(queue) {
            self.services.node.queues.one_less();
        }
        self.default_exchange_changed();
        let unbound = self.unbind_all_to_queue(&mut topology, queue);
        if !is_of_replies(queue) {
            count_one(&self.services.churn.queues_deleted);
        }
        self.services.gone.add(queue);
        self.tell_deleted(queue, user);
        let deleted = match closed.journaled {
            true => self.write(&mut topology, &Record::QueueDeleted { id: queue.id }),
            false => Lsn::default(),
        };
        let forgotten = self.forget_pause(&mut topology, queue);
        Ok(QueueDeleted { messages: closed.ready, lsn: unbound.max(deleted).max(forgotten) })
    }

    /// The outcome for a queue that is not there: somebody else's deletion may not be durable yet.
    fn deleted_before(&self) -> QueueDeleted {
        QueueDeleted { messages: 0, lsn: self.topology.lock().last_lsn }
    }

    /// A queue came or went, and with it its binding to the default exchange.
    fn default_exchange_changed(&self) {
        if let Some(default) = self.exchanges.get("") {
            default.bump_generation();
        }
    }
}

/// Whether it is an address for direct replies, which is no queue to clients.
fn is_of_replies(queue: &Queue) -> bool {
    queue.name.starts_with(REPLY_QUEUE_PREFIX)
}
