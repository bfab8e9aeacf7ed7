//! Channels: opening, closing, and where their frames go.

use std::sync::Arc;

use leveret_codec::frame::{Frame, FrameKind};
use leveret_codec::method::{
    AccessRequestOk, ChannelClose, ChannelCloseOk, ChannelFlowOk, ChannelOpenOk, ConfirmSelectOk, Method,
};
use leveret_codec::reply_code::ReplyCode;
use leveret_engine::admission::Admission;
use leveret_engine::journal::Lsn;

use crate::acks::Outcome;
use crate::batch::Batch;
use crate::channel::{Assembly, Channel, Mode};
use crate::connection::{Connection, FrameSpan, Frames, Home, undecodable, unexpected_frame};
use crate::counters::ToldMode;
use crate::error::{Close, Failure};
use crate::outbox::OutChannel;
use crate::stall::Stall;

/// What is said when a frame comes out of turn.
const NOT_A_METHOD: &str = "expected method frame, got non method frame instead";

impl Connection {
    pub(crate) fn channel_frame<'c>(
        &mut self,
        span: FrameSpan,
        frames: &mut Frames<'c>,
        batch: &mut Batch<'c>,
    ) -> Result<(), Failure> {
        let payload = span.payload(frames.chunk);
        if span.kind == FrameKind::Heartbeat {
            return Err(unexpected_frame(&Frame { kind: span.kind, channel: span.channel, payload }));
        }
        let Some(channel) = self.channels.get_mut(&span.channel) else {
            return self.frame_without_channel(span, payload);
        };
        if channel.closing {
            return self.frame_on_closing_channel(span, payload);
        }
        match (&channel.assembly, span.kind) {
            (Assembly::Method, FrameKind::Method) => {
                // Matched in place: moving a decoded method costs as much as decoding it.
                match Method::decode(payload) {
                    Ok(ref method) => self.method(span.channel, method, frames, batch),
                    Err(error) => Err(undecodable(error, payload)),
                }
            }
            (Assembly::Method, _) => Err(Failure::frame(ReplyCode::UnexpectedFrame, NOT_A_METHOD)),
            (Assembly::Header(_), _) => self.header_frame(span, payload, batch),
            (Assembly::Body { .. }, _) => self.body_frame(span, frames.chunk, batch),
        }
    }

    fn frame_without_channel(&mut self, span: FrameSpan, payload: &[u8]) -> Result<(), Failure> {
        if span.kind != FrameKind::Method {
            return Err(Failure::frame(ReplyCode::UnexpectedFrame, NOT_A_METHOD));
        }
        let method = Method::decode(payload).map_err(|error| undecodable(error, payload))?;
        match method {
            Method::ChannelOpen(_) => self.open_channel(span.channel),
            // Answers that crossed a close which both sides sent.
            Method::ChannelCloseOk(_) => Ok(()),
            Method::ChannelClose(_) => {
                self.outbox.send_method(span.channel, ChannelCloseOk);
                Ok(())
            }
            _ => Err(Failure::new(ReplyCode::ChannelError, "expected 'channel.open'", method.ids())),
        }
    }

    fn frame_on_closing_channel(&mut self, span: FrameSpan, payload: &[u8]) -> Result<(), Failure> {
        if span.kind != FrameKind::Method {
            return Ok(());
        }
        match Method::decode(payload) {
            Ok(Method::ChannelCloseOk(_)) => {
                self.channels.remove(&span.channel);
            }
            Ok(Method::ChannelClose(_)) => self.outbox.send_method(span.channel, ChannelCloseOk),
            _ => {}
        }
        Ok(())
    }

    fn open_channel(&mut self, number: u16) -> Result<(), Failure> {
        if self.must_wait_for_replies() {
            return Ok(());
        }
        let max = self.tuned.channel_max;
        let open = self.channels.len();
        if max > 0 && open >= usize::from(max) {
            let text = format!("number of channels opened ({open}) has reached the negotiated channel_max ({max})");
            return Err(Failure::frame(ReplyCode::NotAllowed, text));
        }
        let admitted = self.admission.as_ref().map(Admission::admit_channel).transpose();
        let admission = admitted.map_err(|refused| Failure::frame(refused.reply_code(), refused.to_string()))?;
        let mut channel = Channel::new(number, &self.outbox, admission);
        channel.begin_with(self.config.prefetch, self.config.prefetch_of_channel);
        let out = OutChannel::new(self.client.consumer_cancel_notify, Arc::clone(&channel.tallies));
        self.outbox.lock().channels.insert(number, out);
        self.channels.insert(number, channel);
        self.tell_channel_opened(number);
        self.outbox.send_method(number, ChannelOpenOk);
        Ok(())
    }

    /// Takes a method on an open channel: publishes and acknowledgements are gathered, all else is carried out in its turn.
    fn method<'c>(
        &mut self,
        number: u16,
        method: &Method<'c>,
        frames: &mut Frames<'c>,
        batch: &mut Batch<'c>,
    ) -> Result<(), Failure> {
        match method {
            Method::BasicPublish(publish) => return self.publish(number, publish, frames, batch),
            Method::BasicAck(_) | Method::BasicNack(_) | Method::BasicReject(_) => {
                return self.gather_ack(number, method, batch);
            }
            _ => self.flush(batch),
        }
        if belongs_with_deliveries(method) && self.must_wait_for_replies() {
            return Ok(());
        }
        // The flush may have closed the channel, for an acknowledgement that came before.
        let Some(home) = self.home.clone().filter(|_| self.is_open(number)) else { return Ok(()) };
        let home = &*home;
        match method {
            Method::ChannelOpen(_) => {
                Err(Failure::new(ReplyCode::ChannelError, "second 'channel.open' seen", method.ids()))
            }
            Method::ChannelClose(_) => {
                self.end_channel(number);
                self.channels.remove(&number);
                self.effects.carry_out();
                self.outbox.send_method(number, ChannelCloseOk);
                Ok(())
            }
            Method::ChannelFlow(flow) if flow.active => {
                self.outbox.send_method(number, ChannelFlowOk { active: true });
                Ok(())
            }
            Method::ChannelFlow(_) => Err(Failure::new(ReplyCode::NotImplemented, "active=false", method.ids())),
            // The answer to a basic.cancel of the server.
            Method::BasicCancelOk(_) => Ok(()),
            Method::AccessRequest(_) => {
                self.outbox.send_method(number, AccessRequestOk { ticket: 1 });
                Ok(())
            }
            Method::ConfirmSelect(select) => self.confirm_select(number, select.nowait, method.ids()),
            _ => self.topology_or_basic_method(number, home, method),
        }
    }

    fn topology_or_basic_method(&mut self, number: u16, home: &Home, method: &Method<'_>) -> Result<(), Failure> {
        match method {
            Method::ExchangeDeclare(_)
            | Method::ExchangeDelete(_)
            | Method::ExchangeBind(_)
            | Method::ExchangeUnbind(_) => self.exchange_method(number, home, method),
            Method::QueueDeclare(_)
            | Method::QueueBind(_)
            | Method::QueueUnbind(_)
            | Method::QueuePurge(_)
            | Method::QueueDelete(_) => self.queue_method(number, home, method),
            Method::BasicQos(_)
            | Method::BasicConsume(_)
            | Method::BasicCancel(_)
            | Method::BasicGet(_)
            | Method::BasicRecover(_)
            | Method::BasicRecoverAsync(_) => self.basic_method(number, home, method),
            Method::TxSelect(_) | Method::TxCommit(_) | Method::TxRollback(_) => self.tx_method(number, home, method),
            _ => Err(Failure::new(ReplyCode::CommandInvalid, "unimplemented method", method.ids())),
        }
    }

    /// Whether replies are held that those to come, or what follows from them, must not overtake: then the frame at hand waits.
    fn must_wait_for_replies(&mut self) -> bool {
        self.stall = self.outbox.held_until().map(Stall::Durable);
        self.stall.is_some()
    }

    fn is_open(&self, number: u16) -> bool {
        self.channels.get(&number).is_some_and(|channel| !channel.closing)
    }

    fn confirm_select(&mut self, number: u16, nowait: bool, ids: (u16, u16)) -> Result<(), Failure> {
        let Some(channel) = self.channels.get_mut(&number) else { return Ok(()) };
        match channel.mode {
            Mode::Transaction(_) => {
                return Err(Failure::new(ReplyCode::PreconditionFailed, "cannot switch from tx to confirm mode", ids));
            }
            Mode::Plain => {
                channel.mode = Mode::Confirm(0);
                channel.tallies.set_mode(ToldMode::Confirm);
            }
            Mode::Confirm(_) => {}
        }
        self.reply(number, nowait, ConfirmSelectOk);
        Ok(())
    }

    /// Answers a method that did nothing durable, unless the client does not want it.
    pub(crate) fn reply<'m>(&self, number: u16, nowait: bool, method: impl Into<Method<'m>>) {
        self.reply_when_durable(number, nowait, Lsn::default(), method);
    }

    /// Answers a method once what it did is durable, unless the client does not want it.
    pub(crate) fn reply_when_durable<'m>(&self, number: u16, nowait: bool, lsn: Lsn, method: impl Into<Method<'m>>) {
        if !nowait {
            self.outbox.send_when_durable(lsn, number, &method.into());
        }
    }

    /// Closes a channel for a failure: first its consumers and deliveries, then the word to the client.
    pub(crate) fn close_channel(&mut self, number: u16, close: &Close) {
        if !self.is_open(number) {
            return;
        }
        self.end_channel(number);
        self.effects.carry_out();
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.closing = true;
            channel.admission = None;
            channel.assembly = Assembly::Method;
            channel.mode = Mode::Plain;
        }
        let text = close.reply_text();
        let method = ChannelClose {
            reply_code: close.code.code(),
            reply_text: &text,
            class_id: close.ids.0,
            method_id: close.ids.1,
        };
        self.outbox.send_method(number, method);
    }

    /// Takes a channel's consumers out of their queues and puts its deliveries back, in this order.
    pub(crate) fn end_channel(&mut self, number: u16) {
        self.end_consumers(number);
        self.undo_transaction(number);
        let settlements = self.take_all_unacked(number, Outcome::Requeued);
        self.outbox.end_channel(number);
        self.settle(settlements);
        if self.is_open(number) {
            self.tell_channel_closed(number);
        }
    }

    pub(crate) fn end_consumers(&mut self, number: u16) {
        let consumers = match self.outbox.lock().channels.get_mut(&number) {
            Some(channel) => std::mem::take(&mut channel.consumers),
            None => return,
        };
        for (tag, home) in consumers {
            self.tell_consumer_deleted(number, &tag, &home);
            home.queue.remove_consumer(home.key, &mut self.effects);
        }
    }
}

/// Whether the reply has its place among deliveries, returns and confirms, none of which wait behind replies that are held.
fn belongs_with_deliveries(method: &Method<'_>) -> bool {
    matches!(
        method,
        Method::BasicConsume(_)
            | Method::BasicCancel(_)
            | Method::BasicGet(_)
            | Method::BasicRecover(_)
            | Method::ConfirmSelect(_)
    )
}
