//! What tests do all the time, in one call each.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use super::channel::Channel;
use super::ids;
use super::methods::{self, Flag, Method, Props};
use super::socket::PATIENCE;
use super::wire::{Table, none};

/// A message that was delivered or fetched.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are the arguments of basic.deliver and basic.get-ok")]
pub struct Delivery {
    pub consumer_tag: String,
    pub delivery_tag: u64,
    pub redelivered: bool,
    pub exchange: String,
    pub routing_key: String,
    pub message_count: u32,
    pub props: Props,
    pub piece_sizes: Vec<usize>,
    pub body: Vec<u8>,
}

impl Delivery {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A message that came back.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are the arguments of basic.return")]
pub struct Returned {
    pub code: u16,
    pub reply_text: String,
    pub exchange: String,
    pub routing_key: String,
    pub props: Props,
    pub body: Vec<u8>,
}

/// What queue.declare-ok says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the arguments of queue.declare-ok")]
pub struct Declared {
    pub queue: String,
    pub message_count: u32,
    pub consumer_count: u32,
}

impl Channel {
    /// Declares a queue.
    pub fn declare(&self, queue: &str, flags: &[Flag], arguments: &Table) -> Declared {
        let mut args = self.rpc(methods::queue_declare(queue, flags, arguments));
        let declared = Declared { queue: args.shortstr(), message_count: args.long(), consumer_count: args.long() };
        args.finish();
        declared
    }

    /// Declares a queue that only this connection uses, so that nothing is left of it afterwards.
    pub fn exclusive_queue(&self) -> String {
        self.declare("", &[Flag::Exclusive], &none()).queue
    }

    /// Declares an exchange.
    pub fn exchange(&self, exchange: &str, kind: &str, flags: &[Flag], arguments: &Table) {
        self.rpc(methods::exchange_declare(exchange, kind, flags, arguments)).finish();
    }

    /// Binds a queue without arguments.
    pub fn bind(&self, queue: &str, exchange: &str, key: &str) {
        self.rpc(methods::queue_bind(queue, exchange, key, &[], &none())).finish();
    }

    /// The ready messages and the consumers of a queue, by a passive declare.
    pub fn counts(&self, queue: &str) -> (u32, u32) {
        let declared = self.declare(queue, &[Flag::Passive], &none());
        (declared.message_count, declared.consumer_count)
    }

    /// Whether a queue exists, by a passive declare that may close and reopen the channel.
    pub fn has_queue(&self, queue: &str) -> bool {
        self.is_accepted(methods::queue_declare(queue, &[Flag::Passive], &none()))
    }

    /// Whether an exchange exists, by a passive declare that may close and reopen the channel.
    pub fn has_exchange(&self, exchange: &str) -> bool {
        self.is_accepted(methods::exchange_declare(exchange, "direct", &[Flag::Passive], &none()))
    }

    fn is_accepted(&self, passive_declare: Method) -> bool {
        let id = passive_declare.id;
        self.send(passive_declare);
        let incoming = self.reply(&[ids::reply_to(id), ids::CHANNEL_CLOSE]);
        if incoming.id != ids::CHANNEL_CLOSE {
            return true;
        }
        let mut args = incoming.args.clone();
        assert_eq!(args.short(), 404, "{}", incoming.describe());
        self.send(Method::new(ids::CHANNEL_CLOSE_OK));
        self.open();
        false
    }

    /// Publishes a text without properties.
    pub fn publish(&self, exchange: &str, key: &str, body: &str) {
        self.publish_with(exchange, key, &[], &Props::default(), body);
    }

    /// Publishes a text.
    pub fn publish_with(&self, exchange: &str, key: &str, flags: &[Flag], props: &Props, body: &str) {
        self.send(methods::publish(exchange, key, flags, props, body.as_bytes()));
    }

    /// Fetches a message that is to be acknowledged.
    pub fn get(&self, queue: &str) -> Option<Delivery> {
        self.get_with(queue, &[])
    }

    /// Fetches a message.
    pub fn get_with(&self, queue: &str, flags: &[Flag]) -> Option<Delivery> {
        self.send(methods::get(queue, flags));
        let mut incoming = self.reply(&[ids::BASIC_GET_OK, ids::BASIC_GET_EMPTY]);
        if incoming.id == ids::BASIC_GET_EMPTY {
            assert_eq!(incoming.args.shortstr(), "");
            incoming.args.finish();
            return None;
        }
        let args = &mut incoming.args;
        Some(Delivery {
            consumer_tag: String::new(),
            delivery_tag: args.longlong(),
            redelivered: args.octet() == 1,
            exchange: args.shortstr(),
            routing_key: args.shortstr(),
            message_count: args.long(),
            props: incoming.props,
            piece_sizes: incoming.piece_sizes,
            body: incoming.body,
        })
    }

    /// Fetches and removes all messages of a queue.
    pub fn drain(&self, queue: &str) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(message) = self.get_with(queue, &[Flag::NoAck]) {
            texts.push(message.text());
        }
        texts
    }

    /// Starts a consumer whose deliveries are to be acknowledged and gives its tag.
    pub fn consume(&self, queue: &str) -> String {
        self.consume_with(queue, "", &[], &none())
    }

    /// Starts a consumer and gives its tag.
    pub fn consume_with(&self, queue: &str, consumer_tag: &str, flags: &[Flag], arguments: &Table) -> String {
        let mut args = self.rpc(methods::consume(queue, consumer_tag, flags, arguments));
        let tag = args.shortstr();
        args.finish();
        tag
    }

    /// Takes the next delivery.
    pub fn delivery(&self) -> Delivery {
        self.try_delivery(PATIENCE).expect("a delivery comes")
    }

    /// Takes the next delivery, if one comes in time; nothing else may come.
    pub fn try_delivery(&self, patience: Duration) -> Option<Delivery> {
        let mut incoming = self.next(patience)?;
        assert_eq!(incoming.id, ids::BASIC_DELIVER, "a delivery expected, got {}", incoming.describe());
        let args = &mut incoming.args;
        Some(Delivery {
            consumer_tag: args.shortstr(),
            delivery_tag: args.longlong(),
            redelivered: args.octet() == 1,
            exchange: args.shortstr(),
            routing_key: args.shortstr(),
            message_count: 0,
            props: incoming.props,
            piece_sizes: incoming.piece_sizes,
            body: incoming.body,
        })
    }

    /// Takes so many deliveries and gives their texts.
    pub fn texts(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.delivery().text()).collect()
    }

    /// Takes the next returned message.
    pub fn returned(&self) -> Returned {
        let mut incoming = self.expect(ids::BASIC_RETURN);
        let args = &mut incoming.args;
        Returned {
            code: args.short(),
            reply_text: args.shortstr(),
            exchange: args.shortstr(),
            routing_key: args.shortstr(),
            props: incoming.props,
            body: incoming.body,
        }
    }

    /// Acknowledges one delivery.
    pub fn ack(&self, delivery_tag: u64) {
        self.send(methods::ack(delivery_tag, &[]));
    }

    /// Takes confirms until those for `1..=last` are complete; the value says whether it was an ack.
    pub fn confirms(&self, first: u64, last: u64) -> BTreeMap<u64, bool> {
        let mut outstanding: Vec<u64> = (first..=last).collect();
        let mut confirmed = BTreeMap::new();
        while !outstanding.is_empty() {
            let mut incoming = self.next(PATIENCE).expect("a confirm comes");
            let is_ack = incoming.id == ids::BASIC_ACK;
            assert!(is_ack || incoming.id == ids::BASIC_NACK, "a confirm expected, got {}", incoming.describe());
            let (tag, is_multiple) = (incoming.args.longlong(), incoming.args.octet() & 1 == 1);
            assert!(outstanding.contains(&tag), "{tag} is confirmed twice or was never published");
            outstanding.retain(|waiting| {
                let is_covered = *waiting == tag || (is_multiple && *waiting < tag);
                if is_covered {
                    confirmed.insert(*waiting, is_ack);
                }
                !is_covered
            });
        }
        confirmed
    }
}

/// Waits until a condition holds that another connection brings about.
pub fn wait_until(what: &str, mut is_met: impl FnMut() -> bool) {
    const POLL_INTERVAL: Duration = Duration::from_millis(10);
    let deadline = Instant::now() + PATIENCE;
    while !is_met() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(POLL_INTERVAL);
    }
}
