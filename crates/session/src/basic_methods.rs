//! basic.qos, consume, cancel, get, recover, and the gathering of acknowledgements.

use std::sync::Arc;

use leveret_codec::method::{
    BasicCancel, BasicCancelOk, BasicConsume, BasicConsumeOk, BasicGet, BasicGetEmpty, BasicGetOk, BasicQos,
    BasicQosOk, BasicRecoverOk, Method,
};
use leveret_codec::reply_code::ReplyCode;
use leveret_codec::table::{FieldTable, FieldValue};
use leveret_engine::error::Error;
use leveret_engine::names::{Name, generated_name};
use leveret_engine::outlet::Outlet;
use leveret_engine::permission::{Resource, Verb};
use leveret_engine::queue::{ConsumeRefused, Entry, Got, NewConsumer, Queue};

use crate::acks::{AckOp, Outcome};
use crate::batch::Batch;
use crate::channel::Mode;
use crate::connection::{Connection, Home};
use crate::error::{Failure, Refused};
use crate::exchange_methods::arguments;
use crate::outbox::ConsumerHome;
use crate::reply_to::{REPLY_TO, is_reply_to};
use crate::sent::Kept;
use crate::stall::Stall;
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
        home.user.check(&home.vhost, Verb::Read, Resource::Queue(&name)).refused(ids)?;
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
        let priority = priority(&arguments, &queue, ids)?;
        let Some(channel) = self.channels.get(&number) else { return Ok(()) };
        let outlet: Arc<dyn Outlet> = Arc::<crate::outlet::ChannelOutlet>::clone(&channel.outlet);
        let new = NewConsumer {
            tag: Name::clone(&tag),
            outlet,
            channel_limit: Arc::clone(channel.limit()),
            no_ack: consume.no_ack,
            prefetch: channel.prefetch,
            priority,
            exclusive: consume.exclusive,
        };
        let key = queue.add_consumer(new).map_err(|refused| consume_refused(refused, &queue)).refused(ids)?;
        if let Some(channel) = self.outbox.lock().channels.get_mut(&number) {
            channel.consumers.insert(Name::clone(&tag), ConsumerHome { queue: Arc::clone(&queue), key });
        }
        self.reply(number, consume.nowait, BasicConsumeOk { consumer_tag: &tag });
        queue.resume(key, &mut self.effects);
        self.effects.carry_out();
        Ok(())
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

    fn cancel(&mut self, number: u16, cancel: &BasicCancel<'_>) {
        let consumer = match self.outbox.lock().channels.get_mut(&number) {
            Some(channel) => channel.consumers.remove(cancel.consumer_tag),
            None => None,
        };
        if let Some(home) = consumer {
            self.forget_reply_consumer(number, cancel.consumer_tag);
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
        match queue.get(get.no_ack) {
            Got::Empty => self.reply(number, false, BasicGetEmpty),
            Got::Loading => self.stall = Some(Stall::Loading(queue)),
            Got::Message { entry, left } => self.send_got(number, &queue, &entry, left, get.no_ack),
        }
        Ok(())
    }

    fn send_got(&self, number: u16, queue: &Arc<Queue>, entry: &Entry, left: usize, no_ack: bool) {
        let frame_max = self.outbox.frame_max();
        self.outbox.update(|out| {
            let Some(channel) = out.channels.get_mut(&number) else { return };
            let tag = channel.next_tag();
            if !no_ack {
                let queue = channel.use_queue(queue, 1);
                let Entry { seq, deliveries, stored, .. } = *entry;
                let kept = Kept::Own(entry.message.alone());
                channel.unacked.push(tag, Unacked { queue, consumer: None, seq, deliveries, stored, kept });
            }
            let parts = entry.message.parts();
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
        let settlements = self.take_all_unacked(number);
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
        let requeued = |requeue| if requeue { Outcome::Requeued } else { Outcome::Rejected };
        let (tag, multiple, outcome) = match method {
            Method::BasicAck(ack) => (ack.delivery_tag, ack.multiple, Outcome::Acked),
            Method::BasicNack(nack) => (nack.delivery_tag, nack.multiple, requeued(nack.requeue)),
            Method::BasicReject(reject) => (reject.delivery_tag, false, requeued(reject.requeue)),
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

/// Argument x-priority: any integer, 0 when absent.
fn priority(arguments: &FieldTable, queue: &Queue, ids: (u16, u16)) -> Result<i32, Failure> {
    let clamp = |value: i64| i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX });
    Ok(match arguments.get(b"x-priority") {
        None => 0,
        Some(FieldValue::I8(value)) => (*value).into(),
        Some(FieldValue::U8(value)) => (*value).into(),
        Some(FieldValue::I16(value)) => (*value).into(),
        Some(FieldValue::U16(value)) => (*value).into(),
        Some(FieldValue::I32(value)) => *value,
        Some(FieldValue::U32(value)) => clamp((*value).into()),
        Some(FieldValue::I64(value)) => clamp(*value),
        Some(other) => {
            let text = format!(
                "invalid arg 'x-priority' for queue '{}' in vhost '{}': \"expected integer, got {}\"",
                queue.name,
                queue.vhost,
                other.type_name()
            );
            return Err(Failure::new(ReplyCode::PreconditionFailed, text, ids));
        }
    })
}
