//! basic.publish: from frames to a message with a route, with all the checks in between.

use std::sync::Arc;

use bytes::Bytes;
use leveret_codec::content::ContentHeader;
use leveret_codec::frame::FrameKind;
use leveret_codec::method::BasicPublish;
use leveret_codec::properties::{PropertiesRef, Property};
use leveret_codec::reply_code::ReplyCode;
use leveret_engine::error::Error;
use leveret_engine::exchange::Exchange;
use leveret_engine::limits::SHARED_BODY_BYTES_MIN;
use leveret_engine::message::{Incoming, Message};
use leveret_engine::permission::{Resource, Verb};
use leveret_engine::publish::{PublishBatch, Route};

use crate::batch::{Asks, Batch, PublishMeta};
use crate::body::Body;
use crate::carbon_copy::{CarbonCopies, hiding_blind_copies, without_blind_copies};
use crate::channel::{Assembly, Channel, Mode, PublishHead};
use crate::connection::{Connection, FrameSpan, Frames, Home, cannot_decode};
use crate::error::{Failure, Refused};
use crate::limits::{BODY_BYTES_CAP, CONFIGURED_BODY_BYTES_CAP};
use crate::publish_checks::{check_expiration, check_user_id};
use crate::reply_to::is_address;
use crate::tx::HeldPublish;

/// Class and method of basic.publish.
const IDS: (u16, u16) = (60, 40);

/// The class of all content.
const BASIC_CLASS: u16 = 60;

/// A publish of which everything is there.
struct Complete<'p> {
    exchange: &'p [u8],
    routing_key: &'p [u8],
    properties: PropertiesRef<'p>,
    asks: Asks,
}

impl Connection {
    /// Takes a basic.publish. When its content lies in the same read it is taken from there; else it is put together.
    pub(crate) fn publish<'c>(
        &mut self,
        number: u16,
        publish: &BasicPublish<'c>,
        frames: &mut Frames<'c>,
        batch: &mut Batch<'c>,
    ) -> Result<(), Failure> {
        self.published = true;
        let Some((properties, body)) = self.whole_content(number, frames) else {
            if let Some(channel) = self.channels.get_mut(&number) {
                channel.assembly = Assembly::Header(PublishHead {
                    exchange: publish.exchange.to_vec(),
                    routing_key: publish.routing_key.to_vec(),
                    asks: Asks::of(publish),
                });
            }
            return Ok(());
        };
        let bytes = body.payload(frames.chunk);
        let shared = (body.len >= SHARED_BODY_BYTES_MIN).then(|| frames.chunk.slice(body.start..body.start + body.len));
        let (exchange, routing_key) = (publish.exchange, publish.routing_key);
        let complete = Complete { exchange, routing_key, properties, asks: Asks::of(publish) };
        let message = Incoming::borrowed(exchange, routing_key, properties.as_bytes(), bytes, shared);
        self.complete(number, &complete, message, batch)
    }

    /// Header and body of a publish whose method frame was just taken, when they are the next two frames and nothing is
    /// wrong with them. Anything else goes frame by frame.
    fn whole_content<'c>(&self, number: u16, frames: &mut Frames<'c>) -> Option<(PropertiesRef<'c>, FrameSpan)> {
        let header = frames.spans.get(frames.next).filter(|span| span.is(FrameKind::Header, number))?;
        let content = ContentHeader::parse(header.payload(frames.chunk)).ok()?;
        if content.class_id != BASIC_CLASS || content.weight != 0 || !has_sound_headers(content.properties) {
            return None;
        }
        if content.body_size == 0 {
            if self.interceptors.is_some() {
                return None;
            }
            frames.next += 1;
            return Some((content.properties, FrameSpan { kind: FrameKind::Body, len: 0, ..*header }));
        }
        let body = frames.spans.get(frames.next + 1).filter(|span| span.is(FrameKind::Body, number))?;
        if body.len as u64 != content.body_size || content.body_size > self.whole_body_max {
            return None;
        }
        frames.next += 2;
        Some((content.properties, *body))
    }

    /// Takes the frame after a publish: it has to be a content header.
    pub(crate) fn header_frame(
        &mut self,
        span: FrameSpan,
        payload: &[u8],
        batch: &mut Batch<'_>,
    ) -> Result<(), Failure> {
        let unexpected = |got: &str| {
            let text = format!("expected content header for class {BASIC_CLASS}, got {got} instead");
            Failure::new(ReplyCode::UnexpectedFrame, text, IDS)
        };
        let prefix = match span.kind {
            FrameKind::Header => ContentHeader::parse_prefix(payload).map_err(|_| cannot_decode(payload))?,
            _ => return Err(unexpected("non content header frame")),
        };
        if prefix.class_id != BASIC_CLASS {
            return Err(unexpected(&format!("one for class {}", prefix.class_id)));
        }
        if prefix.weight != 0 {
            return Err(unexpected("non content header frame"));
        }
        self.check_size(prefix.body_size)?;
        let properties = prefix.parse_properties().map_err(|_| cannot_decode(payload))?.properties;
        if !has_sound_headers(properties) {
            return Err(cannot_decode(payload));
        }
        let Some(channel) = self.channels.get_mut(&span.channel) else { return Ok(()) };
        let Assembly::Header(head) = std::mem::replace(&mut channel.assembly, Assembly::Method) else {
            return Ok(());
        };
        let body_len = prefix.body_size;
        let store = if body_len > self.body_in_memory_max { self.broker.services.journal.blobs() } else { None };
        let properties = properties.as_bytes().to_vec();
        channel.assembly = Assembly::Body { head, properties, body: Body::new(store), body_len };
        if body_len == 0 {
            return self.assembled(span.channel, batch);
        }
        Ok(())
    }

    /// Judges the announced size of a body, before a byte of it is kept.
    fn check_size(&self, size: u64) -> Result<(), Failure> {
        let max = self.config.message_bytes_max;
        let cap = BODY_BYTES_CAP.max(max.min(CONFIGURED_BODY_BYTES_CAP));
        if size > cap {
            let text = format!("content body size {size} exceeds maximum allowed size {cap}");
            return Err(Failure::frame(ReplyCode::FrameError, text));
        }
        if size > max {
            let text = format!("message size {size} is larger than configured max size {max}");
            return Err(Failure::new(ReplyCode::PreconditionFailed, text, IDS));
        }
        Ok(())
    }

    /// Takes the frame after a header or body frame, while some of the body is to come.
    pub(crate) fn body_frame(&mut self, span: FrameSpan, chunk: &Bytes, batch: &mut Batch<'_>) -> Result<(), Failure> {
        if span.kind != FrameKind::Body {
            let text = "expected content body, got non content body frame instead";
            return Err(Failure::new(ReplyCode::UnexpectedFrame, text, IDS));
        }
        let Some(Channel { assembly: Assembly::Body { body, body_len, .. }, .. }) =
            self.channels.get_mut(&span.channel)
        else {
            return Ok(());
        };
        if span.len as u64 > *body_len - body.len() {
            let text = "content body frame exceeds remaining content size";
            return Err(Failure::frame(ReplyCode::FrameError, text));
        }
        body.push(chunk, span.start..span.start + span.len);
        if body.len() == *body_len {
            return self.assembled(span.channel, batch);
        }
        Ok(())
    }

    /// The content of a publish has come in several pieces and is whole now.
    fn assembled(&mut self, number: u16, batch: &mut Batch<'_>) -> Result<(), Failure> {
        let Some(channel) = self.channels.get_mut(&number) else { return Ok(()) };
        let Assembly::Body { head, mut properties, body, .. } =
            std::mem::replace(&mut channel.assembly, Assembly::Method)
        else {
            return Ok(());
        };
        if let Some(interceptors) = &self.interceptors {
            let services = &self.broker.services;
            let sound = PropertiesRef::from_checked(&properties);
            properties = interceptors.intercept(sound, services.clock.now_ms(), services.notices.node());
        }
        let message = Message::copy_of(&head.parts(&properties, &body.finish()));
        let complete = Complete {
            exchange: &head.exchange,
            routing_key: &head.routing_key,
            properties: PropertiesRef::from_checked(&properties),
            asks: head.asks,
        };
        self.complete(number, &complete, Incoming::kept(message), batch)
    }

    /// Checks and routes a message, and puts it into the batch or into the channel's transaction.
    #[inline]
    fn complete<'c>(
        &mut self,
        number: u16,
        publish: &Complete<'_>,
        mut message: Incoming<'c>,
        batch: &mut Batch<'c>,
    ) -> Result<(), Failure> {
        if publish.properties.has(Property::ReplyTo) {
            match self.addressed(number, &message.parts(), publish.properties, IDS) {
                Ok(Some(addressed)) => message = Incoming::kept(addressed),
                Ok(None) => (),
                Err(no_consumer) => return Err(self.exchange_failure(publish.exchange).unwrap_or(no_consumer)),
            }
        }
        let route = match self.known_route(publish, &mut batch.publish) {
            Some(route) => route,
            None => self.find_route(publish, &mut message, &mut batch.publish)?,
        };
        if self.traced {
            let queues = batch.publish.routes.get(route as usize);
            self.trace_publish(number, &message.parts(), publish.properties, queues);
        }
        let persistent = publish.properties.delivery_mode() == Some(2);
        let expires = publish.properties.has(Property::Expiration);
        let mut asks = publish.asks;
        if asks != Asks::default() && is_address(publish.exchange, publish.routing_key) {
            asks = Asks::default();
        }
        let Some(channel) = self.channels.get_mut(&number) else { return Ok(()) };
        channel.tallies.publish.add(1);
        self.outbox.tallies.sizes.note(message.body_len());
        let seq = match &mut channel.mode {
            Mode::Plain => 0,
            Mode::Confirm(last) => {
                *last += 1;
                self.outbox.tallies.received_confirm.add(1);
                *last
            }
            Mode::Transaction(transaction) => {
                let route = batch.publish.routes.get(route as usize).cloned().unwrap_or_default();
                let message = message.keep();
                let held = HeldPublish { message, route, persistent, expires, asks };
                transaction.publishes.push(held);
                channel.tallies.set_uncommitted(transaction.publishes.len(), transaction.acks.len());
                return Ok(());
            }
        };
        let op = batch.next_op();
        let meta = PublishMeta { channel: number, op, seq, asks };
        batch.push(meta, message, route, (persistent, expires));
        Ok(())
    }

    /// What is wrong with the exchange of a publish: it is told before all else.
    #[cold]
    fn exchange_failure(&self, exchange: &[u8]) -> Option<Failure> {
        find_exchange(self.home.as_ref()?, exchange).err()
    }

    /// The queues for a message in which nothing needs a look, if they are known.
    #[inline]
    fn known_route(&mut self, publish: &Complete<'_>, batch: &mut PublishBatch<'_>) -> Option<u32> {
        const LOOKED_INTO: u16 = Property::Headers.flag() | Property::Expiration.flag() | Property::UserId.flag();
        let is_plain = publish.properties.flags() & LOOKED_INTO == 0;
        let through = &self.outbox.tallies.routed;
        let route = if is_plain { self.routes.find(publish.exchange, publish.routing_key, through) } else { None };
        route.map(|route| batch.route_number(route))
    }

    /// The queues for a message. It is changed if it says what nobody may see.
    fn find_route(
        &mut self,
        publish: &Complete<'_>,
        message: &mut Incoming<'_>,
        batch: &mut PublishBatch<'_>,
    ) -> Result<u32, Failure> {
        let Complete { exchange, routing_key, properties, .. } = publish;
        let Some(home) = self.home.clone() else { return Ok(batch.route_number(&Route::default())) };
        let found = find_exchange(&home, exchange)?;
        check_expiration(*properties).refused(IDS)?;
        let copies = CarbonCopies::read(*properties).refused(IDS)?;
        if home.user.has_topic_permissions() {
            for key in copies.keys(routing_key) {
                home.user.check_topic(&home.vhost, Verb::Write, &found, key).refused(IDS)?;
            }
        }
        check_user_id(*properties, &home.user).refused(IDS)?;
        if copies.is_empty()
            && let Some(route) = self.routes.find(exchange, routing_key, &self.outbox.tallies.routed)
        {
            return Ok(batch.route_number(route));
        }
        let routed = home.vhost.route(&found, &copies.keys(routing_key), *properties);
        found.through.add(1, routed.queues.len() as u64);
        self.outbox.tallies.routed.add(routed.queues.len() as u64);
        if copies.is_empty() {
            self.routes.insert((exchange, routing_key), &found, &routed, &self.outbox.tallies.routed);
        }
        // What waits in an exchange is routed by all its keys later.
        if copies.has_blind() && !routed.only_waits() {
            // Queues that have dead letters may want the keys once more.
            let hides = routed.queues.iter().any(|queue| queue.has_dead_letters());
            let change = if hides { hiding_blind_copies } else { without_blind_copies };
            *message = Incoming::kept(change(&message.parts()));
        }
        if routed.is_remembered() {
            routed.remember(&message.keep());
        }
        Ok(batch.route_number(&routed.queues))
    }
}

/// The exchange of a publish, if there is one to which the user may publish.
fn find_exchange(home: &Home, name: &[u8]) -> Result<Arc<Exchange>, Failure> {
    let name = String::from_utf8_lossy(name);
    home.user.check(&home.vhost, Verb::Write, Resource::Exchange(&name)).refused(IDS)?;
    let found = home.vhost.exchange(&name).refused(IDS)?;
    if found.internal {
        let (exchange, vhost) = (found.name.clone(), home.vhost.name.clone());
        return Err(Error::InternalExchange { exchange, vhost }).refused(IDS);
    }
    Ok(found)
}

/// Whether the headers, if there are any, can be decoded: nobody shall be given a message that cannot be read.
fn has_sound_headers(properties: PropertiesRef<'_>) -> bool {
    properties.headers().is_none_or(|headers| headers.check().is_ok())
}

impl FrameSpan {
    fn is(&self, kind: FrameKind, channel: u16) -> bool {
        self.kind == kind && self.channel == channel
    }
}
