//! Direct reply-to: replies that go straight to the requester's channel, without a queue that anybody declares.
//!
//! A reply consumer is the consumer of a hidden queue whose name cannot be guessed: the address that goes out in place of
//! the pseudo queue's name. The queue goes with its consumer. Nobody else can declare, consume, bind or purge by such a name.

use std::sync::Arc;

use leveret_codec::method::{BasicConsume, BasicConsumeOk};
use leveret_codec::properties::{PropertiesRef, Property};
use leveret_codec::reply_code::ReplyCode;
use leveret_engine::message::{Message, Parts};
use leveret_engine::names::{Name, generated_name};
use leveret_engine::outlet::Outlet;
use leveret_engine::queue::NewConsumer;

use crate::connection::{Connection, Home};
use crate::error::Failure;
use crate::outbox::ConsumerHome;

/// The queue name that stands for replies to this channel.
pub(crate) const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// What addresses begin with.
const ADDRESS_PREFIX: &str = "amq.rabbitmq.reply-to.";

/// A channel's reply consumer.
pub(crate) struct ReplyConsumer {
    pub(crate) tag: Name,
    /// Where replies are to be sent: a routing key of the default exchange.
    address: Name,
}

/// Whether `queue` is the pseudo queue, or the address of somebody's replies.
pub(crate) fn is_reply_to(queue: &str) -> bool {
    queue == REPLY_TO || queue.starts_with(ADDRESS_PREFIX)
}

/// Whether a routing key of the default exchange is an address: replies to it count as routed, whoever is still there.
pub(crate) fn is_address(exchange: &[u8], routing_key: &[u8]) -> bool {
    exchange.is_empty() && routing_key.starts_with(ADDRESS_PREFIX.as_bytes())
}

impl Connection {
    /// basic.consume of the pseudo queue.
    pub(crate) fn consume_replies(
        &mut self,
        number: u16,
        home: &Home,
        consume: &BasicConsume<'_>,
        tag: &Name,
        ids: (u16, u16),
    ) -> Result<(), Failure> {
        let refuse = |text: &str| Err(Failure::new(ReplyCode::PreconditionFailed, text, ids));
        let Some(channel) = self.channels.get_mut(&number) else { return Ok(()) };
        if !consume.no_ack {
            return refuse("reply consumer cannot acknowledge");
        }
        if channel.reply_consumer.is_some() {
            return refuse("reply consumer already set");
        }
        let address: Name = generated_name(ADDRESS_PREFIX, (self.config.random)()).into();
        let queue = home.vhost.add_reply_queue(&address);
        channel.reply_consumer = Some(ReplyConsumer { tag: Name::clone(tag), address });
        let outlet: Arc<dyn Outlet> = Arc::<crate::outlet::ChannelOutlet>::clone(&channel.outlet);
        let new = NewConsumer {
            tag: Name::clone(tag),
            outlet,
            // Replies wait for nothing.
            channel_limit: Arc::default(),
            no_ack: true,
            prefetch: 0,
            priority: 0,
            exclusive: true,
        };
        // The queue was just made: nobody else can be there.
        if let Ok(key) = queue.add_consumer(new) {
            if let Some(channel) = self.outbox.lock().channels.get_mut(&number) {
                let consumer = ConsumerHome { queue: Arc::clone(&queue), key, terms: Arc::default() };
                channel.consumers.insert(Name::clone(tag), consumer);
            }
            queue.resume(key, &mut self.effects);
        }
        self.reply(number, consume.nowait, BasicConsumeOk { consumer_tag: tag });
        Ok(())
    }

    /// A consumer was cancelled: if it was the reply consumer, there may be another.
    pub(crate) fn forget_reply_consumer(&mut self, number: u16, tag: &str) {
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.reply_consumer.take_if(|consumer| &*consumer.tag == tag);
        }
    }

    /// The message with its reply-to made an address, where it names the pseudo queue.
    pub(crate) fn addressed(
        &self,
        number: u16,
        parts: &Parts<'_>,
        properties: PropertiesRef<'_>,
        ids: (u16, u16),
    ) -> Result<Option<Message>, Failure> {
        if !properties.has(Property::ReplyTo) || properties.reply_to() != Some(REPLY_TO.as_bytes()) {
            return Ok(None);
        }
        let consumer = self.channels.get(&number).and_then(|channel| channel.reply_consumer.as_ref());
        let Some(ReplyConsumer { address, .. }) = consumer else {
            return Err(Failure::new(ReplyCode::PreconditionFailed, "fast reply consumer does not exist", ids));
        };
        let mut encoded = Vec::new();
        // The headers were checked when the content header came.
        if let Ok(mut properties) = properties.to_owned() {
            properties.reply_to = Some(address.as_bytes().into());
            properties.encode(&mut encoded);
        }
        Ok(Some(Message::copy_of(&Parts { properties: &encoded, ..*parts })))
    }
}
