//! basic.qos, consume, cancel, get, recover, and the gathering of acknowledgements.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use leveret_codec::method::{
    BasicCancel, BasicCancelOk, BasicConsume, BasicConsumeOk, BasicGet, BasicGetEmpty, BasicGetOk, BasicQos,
    BasicQosOk, BasicRecoverOk, Method,
};
use leveret_codec::reply_code::ReplyCode;
use leveret_engine::error::Error;
use leveret_engine::names::{Name, generated_name};
use leveret_engine::outlet::Outlet;
use leveret_engine::permission::{Resource, Verb};
use leveret_engine::queue::arguments::{ConsumeArguments, QueueType};
use leveret_engine::queue::{ConsumeRefused, Entry, Got, NewConsumer, Queue};
use leveret_engine::stream::StreamRefused;

use crate::about::ConsumerFacts;
use crate::acks::{AckOp, Outcome};
use crate::batch::Batch;
use crate::channel::Mode;
use crate::connection::{Connection, Home};
use crate::encode::with_delivery_count;
use crate::error::{Failure, Refused};
use crate::exchange_methods::arguments;
use crate::limits::REPLY_BYTES_MAX;
use crate::outbox::{ConsumerHome, ConsumerTerms};
use crate::reply_to::{REPLY_TO, is_reply_to};
use crate::sent::Kept;
use crate::stall::Stall;
use crate::stream::stream_spec;
use crate::unacked::Unacked;

impl Connection {
    pub(crate) fn basic_method(&mut self, number: u16, home: &Home, method: &Method<'_>) -> Result<(), Failure> {
        let ids = method.ids();
        match method {
            Method::BasicQos(qos) => self.qos(number, *qos, ids),
            Method::BasicConsume(consume) => self.consume(number, home, consume, ids),
            Method::BasicCancel(cancel) => {
                self.cancel(number, cancel);
                Ok(())
            }
            Method::BasicGet(get) => self.get(number, home, get, ids),
            Method::BasicRecover(recover) => self.recover(number, recover.requeue, true, ids),
            Method::BasicRecoverAsync(recover) => self.recover(number, recover.requeue, false, ids),
            _ => Ok(()),
        }
    }

    fn qos(&mut self, number: u16, qos: BasicQos, ids: (u16, u16)) -> Result<(), Failure> {
        if qos.prefetch_size != 0 {
            let text = format!("prefetch_size!=0 ({})", qos.prefetch_size);
            return Err(Failure::new(ReplyCode::NotImplemented, text, ids));
        }
        let Some(channel) = self.channels.get_mut(&number) else { return Ok(()) };
        if qos.global {
            channel.limit().set(qos.prefetch_count.into());
        } else {
            channel.prefetch = qos.prefetch_count;
            channel.tallies.prefetch.store(qos.prefetch_count, Ordering::Relaxed);
            channel.limit().set(0);
        }
        self.resume_channel(number);
        self.effects.carry_out();
        self.reply(number, false, BasicQosOk);
        Ok(())
    }

    fn consume(
        &mut self,
        number: u16,
        home: &Home,
        consume: &BasicConsume<'_>,
        ids: (u16, u16),
    ) -> Result<(), Failure> {
        let name = self.queue_name(number, consume.queue, ids)?;
        // Replies to oneself are nobody else's: no right is needed for them (behaviour: RabbitMQ's up to 4.1).
        if name != REPLY_TO {
            home.user.check(&home.vhost, Verb::Read, Resource::Queue(&name)).refused(ids)?;
        }
        let arguments = arguments(consume.arguments)?;
        let tag: Name = match consume.consumer_tag {
            "" => generated_name("amq.ctag-", (self.config.random)()).into(),
            tag => tag.into(),
        };
        self.check_consumer(number, &tag, ids)?;
        if name == REPLY_TO {
            return self.consume_replies(number, home, consume, &tag, ids);
        }
        refuse_address(home, &name).refused(ids)?;
        let queue = home.vhost.usable_queue(&name, self.id).refused(ids)?;
        let queue_type = queue.settings.queue_type;
        let known = ConsumeArguments::parse(&queue.name, &queue.vhost, queue_type, &arguments);
        let ConsumeArguments { priority, timeout_ms } = known.map_err(Error::from).refused(ids)?;
        let Some(channel) = self.channels.get(&number) else { return Ok(()) };
        let spec = stream_spec(&queue, channel, consume.no_ack, &arguments).map_err(Error::from).refused(ids)?;
        let outlet: Arc<dyn Outlet> = Arc::<crate::outlet::ChannelOutlet>::clone(&channel.outlet);
        let new = NewConsumer {
            tag: Name::clone(&tag),
            outlet,
            channel_limit: match queue.counts_towards_channel_limit() {
                true => Arc::clone(channel.limit()),
                false => Arc::default(),
            },
            no_ack: consume.no_ack,
            prefetch: channel.prefetch,
            priority,
            exclusive: consume.exclusive,
        };
        let facts = ConsumerFacts {
            tag: &tag,
            queue: &queue,
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            prefetch: channel.prefetch,
            arguments: &arguments,
        };
        let key = match spec {
            Some(spec) => queue.add_reader(new, spec),
            None => queue.add_consumer(new),
        };
        let key = key.map_err(|refused| consume_refused(refused, &queue)).refused(ids)?;
        let terms = ConsumerTerms {
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            prefetch: facts.prefetch,
            timeout_ms,
            arguments: arguments.clone(),
        };
        let consumer = ConsumerHome { queue: Arc::clone(&queue), key, terms: Arc::new(terms) };
        let kept = self.keep_consumer(number, &tag, consumer);
        kept.map_err(|refused| consume_refused(refused, &queue)).refused(ids)?;
        self.reply(number, consume.nowait, BasicConsumeOk { consumer_tag: &tag });
        if let Some(owner) = self.outbox.owner() {
            owner.tell_consumer_created(number, &facts);
        }
        queue.resume(key, &mut self.effects);
        self.effects.carry_out();
        Ok(())
    }

    /// Keeps a consumer by its tag. If its queue is deleted by now, that may have been told before the consumer could be found.
    fn keep_consumer(&self, number: u16, tag: &Name, consumer: ConsumerHome) -> Result<(), ConsumeRefused> {
        let queue = Arc::clone(&consumer.queue);
        if let Some(channel) = self.outbox.lock().channels.get_mut(&number) {
            let (no_ack, timeout_ms) = (consumer.terms.no_ack, consumer.terms.timeout_ms);
            if !no_ack && channel.watch(tag, &consumer, timeout_ms) {
                self.outbox.watches.store(true, Ordering::Relaxed);
            }
            channel.consumers.insert(Name::clone(tag), consumer);
        }
        if !queue.is_deleted() {
            return Ok(());
        }
        if let Some(channel) = self.outbox.lock().channels.get_mut(&number) {
            channel.consumers.remove(tag);
        }
        Err(ConsumeRefused::Deleted)
    }

    fn check_consumer(&self, number: u16, tag: &Name, ids: (u16, u16)) -> Result<(), Failure> {
        let state = self.outbox.lock();
        let Some(channel) = state.channels.get(&number) else { return Ok(()) };
        if channel.consumers.contains_key(tag) {
            let text = format!("attempt to reuse consumer tag '{tag}'");
            return Err(Failure::new(ReplyCode::NotAllowed, text, ids));
        }
        let max = self.config.consumers_a_channel_max;
        if max > 0 && channel.consumers.len() >= max {
            let text = format!("reached maximum ({max}) of consumers per channel");
            return Err(Failure::new(ReplyCode::NotAllowed, text, ids));
        }
        Ok(())
    }

    pub(crate) fn cancel(&mut self, number: u16, cancel: &BasicCancel<'_>) {
        let consumer = match self.outbox.lock().channels.get_mut(&number) {
            Some(channel) => channel.consumers.remove(cancel.consumer_tag),
            None => None,
        };
        if let Some(home) = consumer {
            self.forget_reply_consumer(number, cancel.consumer_tag);
            self.tell_consumer_deleted(number, cancel.consumer_tag, &home);
            home.queue.remove_consumer(home.key, &mut self.effects);
            self.effects.carry_out();
        }
        self.reply(number, cancel.nowait, BasicCancelOk { consumer_tag: cancel.consumer_tag });
    }

    fn get(&mut self, number: u16, home: &Home, get: &BasicGet<'_>, ids: (u16, u16)) -> Result<(), Failure> {
        let name = self.queue_name(number, get.queue, ids)?;
        home.user.check(&home.vhost, Verb::Read, Resource::Queue(&name)).refused(ids)?;
        refuse_address(home, &name).refused(ids)?;
        let queue = home.vhost.usable_queue(&name, self.id).refused(ids)?;
        if queue.settings.single_active_consumer && queue.settings.queue_type == QueueType::Quorum {
            let (queue, vhost) = (Name::clone(&queue.name), Name::clone(&queue.vhost));
            return Err(Error::GetFromSingleActive { queue, vhost }).refused(ids);
        }
        if queue.is_stream() {
            return Err(Error::from(StreamRefused::get(&queue))).refused(ids);
        }
        if self.outbox.waiting_bytes() > REPLY_BYTES_MAX {
            // A few bytes may ask for many large messages.
            self.stall = Some(Stall::Unwritten);
            return Ok(());
        }
        match queue.get(get.no_ack) {
            Got::Empty => {
                if let Some(channel) = self.channels.get(&number) {
                    channel.tallies.get_empty.add(1);
                }
                self.reply(number, false, BasicGetEmpty);
            }
            Got::Loading => self.stall = Some(Stall::Loading(queue)),
            Got::Message { entry, left } => {
                self.outbox.trace_got(number, &queue, &entry);
                self.send_got(number, &queue, &entry, left, get.no_ack);
            }
        }
        Ok(())
    }

    fn send_got(&self, number: u16, queue: &Arc<Queue>, entry: &Entry, left: usize, no_ack: bool) {
        let frame_max = self.outbox.frame_max();
        self.outbox.update(|out| {
            let Some(channel) = out.channels.get_mut(&number) else { return };
            let tag = channel.next_tag();
            channel.tallies.got(no_ack, entry.deliveries > 0);
            if !no_ack {
                let place = channel.use_queue(queue, 1);
                let Entry { seq, deliveries, stored, expires_ms, .. } = *entry;
                let kept = Kept::Own(entry.message.alone());
                channel
                    .unacked
                    .push(tag, Unacked { queue: place, consumer: None, seq, deliveries, stored, expires_ms, kept });
                if channel.watch_fetched(queue) {
                    self.outbox.watches.store(true, Ordering::Relaxed);
                }
            }
            let mut parts = entry.message.parts();
            let counted;
            if entry.deliveries > 0 && queue.counts_deliveries() {
                counted = with_delivery_count(parts.properties, entry.deliveries);
                parts.properties = &counted;
            }
            let got = BasicGetOk {
                delivery_tag: tag,
                redelivered: entry.deliveries > 0,
                exchange: parts.exchange,
                routing_key: parts.routing_key,
                message_count: u32::try_from(left).unwrap_or(u32::MAX),
            };
            Method::from(got).write_frame(number, out.buffer.buffer());
            out.buffer.content(number, &parts, frame_max);
        });
    }

    fn recover(&mut self, number: u16, requeue: bool, reply: bool, ids: (u16, u16)) -> Result<(), Failure> {
        if !requeue {
            return Err(Failure::new(ReplyCode::NotImplemented, "requeue=false", ids));
        }
        let settlements = self.take_all_unacked(number, Outcome::HandedBack);
        self.reply(number, !reply, BasicRecoverOk);
        self.settle(settlements);
        self.effects.carry_out();
        Ok(())
    }

    /// Puts an acknowledgement into the batch; in a transaction it is carried out of turn, into the transaction.
    pub(crate) fn gather_ack(
        &mut self,
        number: u16,
        method: &Method<'_>,
        batch: &mut Batch<'_>,
    ) -> Result<(), Failure> {
        let outcome = |requeue, requeued| if requeue { requeued } else { Outcome::Rejected };
        let (tag, multiple, outcome) = match method {
            Method::BasicAck(ack) => (ack.delivery_tag, ack.multiple, Outcome::Acked),
            Method::BasicNack(nack) => (nack.delivery_tag, nack.multiple, outcome(nack.requeue, Outcome::HandedBack)),
            Method::BasicReject(reject) => (reject.delivery_tag, false, outcome(reject.requeue, Outcome::Requeued)),
            _ => return Ok(()),
        };
        let op = AckOp { channel: number, op: batch.next_op(), tag, multiple, outcome, ids: method.ids() };
        if self.channels.get(&number).is_some_and(|channel| matches!(channel.mode, Mode::Transaction(_))) {
            self.flush(batch);
            return self.ack_in_transaction(op);
        }
        batch.acks.push(op);
        Ok(())
    }
}

/// Replies are for their requester alone: for all others there is no such queue.
pub(crate) fn refuse_address(home: &Home, queue: &str) -> Result<(), Error> {
    match is_reply_to(queue) {
        true => Err(Error::NoQueue { queue: queue.to_owned(), vhost: Name::clone(&home.vhost.name) }),
        false => Ok(()),
    }
}

fn consume_refused(refused: ConsumeRefused, queue: &Queue) -> Error {
    let vhost = Name::clone(&queue.vhost);
    match refused {
        ConsumeRefused::ExclusiveUse => Error::ExclusiveUse { queue: Name::clone(&queue.name), vhost },
        ConsumeRefused::Deleted => Error::NoQueue { queue: queue.name.to_string(), vhost },
    }
}
