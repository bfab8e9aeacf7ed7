//! The incoming side of a channel.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use leveret_engine::admission::ChannelAdmission;
use leveret_engine::message::{Marks, Parts};
use leveret_engine::names::Name;
use leveret_engine::outlet::ChannelLimit;

use crate::batch::Asks;
use crate::body::{Body, WholeBody};
use crate::counters::ChannelTallies;
use crate::outbox::Outbox;
use crate::outlet::ChannelOutlet;
use crate::reply_to::ReplyConsumer;
use crate::tx::Transaction;

/// An open channel.
pub(crate) struct Channel {
    pub(crate) outlet: Arc<ChannelOutlet>,
    pub(crate) tallies: Arc<ChannelTallies>,
    pub(crate) mode: Mode,
    pub(crate) assembly: Assembly,
    /// The name that an empty queue name stands for.
    pub(crate) last_queue: Option<Name>,
    /// Who gets direct replies.
    pub(crate) reply_consumer: Option<ReplyConsumer>,
    /// Prefetch of consumers to come.
    pub(crate) prefetch: u16,
    /// Counts it towards limits as long as it is open.
    pub(crate) admission: Option<ChannelAdmission>,
    /// The server has closed it and waits for close-ok: all else is discarded.
    pub(crate) closing: bool,
}

/// What publishes and acknowledgements mean.
pub(crate) enum Mode {
    Plain,
    /// Publishes are confirmed; the number of the last one.
    Confirm(u64),
    Transaction(Transaction),
}

/// Content of which frames are still to come.
pub(crate) enum Assembly {
    /// None: a method comes next.
    Method,
    /// A content header comes next.
    Header(PublishHead),
    /// Body frames come next.
    Body { head: PublishHead, properties: Vec<u8>, body: Body, body_len: u64 },
}

/// A basic.publish whose content is still to come.
pub(crate) struct PublishHead {
    pub(crate) exchange: Vec<u8>,
    pub(crate) routing_key: Vec<u8>,
    pub(crate) asks: Asks,
}

impl PublishHead {
    pub(crate) fn parts<'a>(&'a self, properties: &'a [u8], body: &'a WholeBody) -> Parts<'a> {
        let (body, shared_body, blob): (&[u8], _, _) = match body {
            WholeBody::Memory(body) => (body, Some(body), None),
            WholeBody::Blob(blob) => (&[], None, Some(blob)),
        };
        let (exchange, routing_key) = (&*self.exchange, &*self.routing_key);
        Parts { exchange, routing_key, properties, body, shared_body, blob, marks: Marks::NONE }
    }
}

impl Channel {
    pub(crate) fn new(number: u16, outbox: &Arc<Outbox>, admission: Option<ChannelAdmission>) -> Self {
        let tallies = Arc::<ChannelTallies>::default();
        let outlet = ChannelOutlet { outbox: Arc::clone(outbox), channel: number, tallies: Arc::clone(&tallies) };
        Self {
            outlet: Arc::new(outlet),
            tallies,
            mode: Mode::Plain,
            assembly: Assembly::Method,
            last_queue: None,
            reply_consumer: None,
            prefetch: 0,
            admission,
            closing: false,
        }
    }

    /// Gives it the prefetch that it begins with.
    pub(crate) fn begin_with(&mut self, prefetch: u16, of_all: u16) {
        self.prefetch = prefetch;
        self.tallies.prefetch.store(prefetch, Ordering::Relaxed);
        self.limit().set(of_all.into());
    }

    pub(crate) fn limit(&self) -> &Arc<ChannelLimit> {
        &self.tallies.limit
    }
}
