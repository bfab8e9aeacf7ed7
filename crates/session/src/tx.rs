//! Transactions: publishes and acknowledgements held back until tx.commit.

use leveret_codec::method::{Method, TxCommitOk, TxRollbackOk, TxSelectOk};
use leveret_codec::reply_code::ReplyCode;
use leveret_engine::journal::Lsn;
use leveret_engine::message::{Incoming, Message};
use leveret_engine::publish::{PublishBatch, Route};

use crate::acks::{AckOp, Outcome, Settlements, unknown_tag};
use crate::batch::{Asks, Batch, PublishMeta};
use crate::channel::Mode;
use crate::connection::{Connection, Home};
use crate::counters::ToldMode;
use crate::error::Failure;
use crate::outbox::OutState;
use crate::sent::Kept;
use crate::unacked::Unacked;

/// What a channel's transaction holds back.
#[derive(Default)]
pub(crate) struct Transaction {
    pub(crate) publishes: Vec<HeldPublish>,
    pub(crate) acks: Vec<HeldAck>,
}

/// A publish that was checked and routed, and waits.
pub(crate) struct HeldPublish {
    pub(crate) message: Message,
    pub(crate) route: Route,
    pub(crate) persistent: bool,
    pub(crate) expires: bool,
    pub(crate) asks: Asks,
}

pub(crate) struct HeldAck {
    tag: u64,
    unacked: Unacked,
    outcome: Outcome,
}

impl Connection {
    pub(crate) fn tx_method(&mut self, number: u16, _home: &Home, method: &Method<'_>) -> Result<(), Failure> {
        let ids = method.ids();
        let Some(channel) = self.channels.get_mut(&number) else { return Ok(()) };
        let not_transactional = || Failure::new(ReplyCode::PreconditionFailed, "channel is not transactional", ids);
        match (method, &mut channel.mode) {
            (Method::TxSelect(_), Mode::Confirm(_)) => {
                let text = "cannot switch from confirm to tx mode";
                return Err(Failure::new(ReplyCode::PreconditionFailed, text, ids));
            }
            (Method::TxSelect(_), mode) => {
                if matches!(mode, Mode::Plain) {
                    *mode = Mode::Transaction(Transaction::default());
                    channel.tallies.set_mode(ToldMode::Transaction);
                }
                self.reply(number, false, TxSelectOk);
            }
            (Method::TxCommit(_), Mode::Transaction(transaction)) => {
                let transaction = std::mem::take(transaction);
                channel.tallies.set_uncommitted(0, 0);
                let Some(lsn) = self.commit(number, transaction) else {
                    return Err(Failure::new(ReplyCode::PreconditionFailed, "partial tx completion", ids));
                };
                self.reply_when_durable(number, false, lsn, TxCommitOk);
            }
            (Method::TxRollback(_), Mode::Transaction(_)) => {
                self.undo_transaction(number);
                self.reply(number, false, TxRollbackOk);
            }
            _ => return Err(not_transactional()),
        }
        Ok(())
    }

    /// Carries out what was held back: publishes first, then acknowledgements in order of their tags. Returns the
    /// position with which all is durable; none when a queue refused a message: the rest is done all the same.
    fn commit(&mut self, number: u16, mut transaction: Transaction) -> Option<Lsn> {
        let mut publish = PublishBatch::default();
        let mut metas = Vec::with_capacity(transaction.publishes.len());
        let mut has_immediate = false;
        for held in transaction.publishes {
            let route = publish.route_number(&held.route);
            publish.push_expiring(Incoming::kept(held.message), route, held.persistent, held.expires);
            if let Some(item) = publish.items.last_mut() {
                item.immediate = held.asks.is_immediate();
                has_immediate |= item.immediate;
            }
            metas.push(PublishMeta { channel: number, op: 0, seq: 0, asks: held.asks });
        }
        let mut batch = Batch { publish, metas, has_immediate, ..Batch::default() };
        let published = self.carry_out_publishes(&mut batch);
        let complete = batch.publish.items.iter().all(|item| !item.rejected);
        transaction.acks.sort_by_key(|held| held.tag);
        let mut settlements = Settlements::default();
        let mut state = self.outbox.lock();
        let OutState { channels, sent, buffer, .. } = &mut *state;
        if let Some(channel) = channels.get_mut(&number) {
            let acked = transaction.acks.iter().filter(|held| held.outcome == Outcome::Acked).count();
            channel.tallies.ack.add(acked as u64);
            for held in transaction.acks {
                channel.release_queue(held.unacked, |queue, unacked| {
                    settlements.add(number, queue, unacked, held.outcome, (&mut *sent, &*buffer));
                });
            }
        }
        drop(state);
        let settled = self.settle(settlements);
        self.effects.carry_out();
        complete.then_some(published.max(settled))
    }

    /// Takes an acknowledgement into the transaction: its deliveries are no longer outstanding, and no credit is back yet.
    pub(crate) fn ack_in_transaction(&mut self, ack: AckOp) -> Result<(), Failure> {
        let mut taken = Vec::new();
        let mut state = self.outbox.lock();
        let OutState { channels, sent, buffer, .. } = &mut *state;
        let found = match channels.get_mut(&ack.channel) {
            None => return Ok(()),
            Some(channel) => channel.take_unacked(ack.tag, ack.multiple, |tag, unacked| {
                // It may be held for long, and nobody looks for it here to make room.
                let kept = match unacked.kept {
                    Kept::Nothing => Kept::Nothing,
                    kept => Kept::Own(sent.take_out(kept, buffer)),
                };
                taken.push(HeldAck { tag, unacked: Unacked { kept, ..unacked }, outcome: ack.outcome });
            }),
        };
        drop(state);
        if !found {
            return Err(unknown_tag(ack.tag, ack.ids));
        }
        if let Some(channel) = self.channels.get_mut(&ack.channel)
            && let Mode::Transaction(transaction) = &mut channel.mode
        {
            transaction.acks.extend(taken);
            channel.tallies.set_uncommitted(transaction.publishes.len(), transaction.acks.len());
        }
        Ok(())
    }

    /// Forgets publishes, and makes acknowledged deliveries outstanding again.
    pub(crate) fn undo_transaction(&mut self, number: u16) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let Mode::Transaction(transaction) = &mut channel.mode else { return };
        let transaction = std::mem::take(transaction);
        channel.tallies.set_uncommitted(0, 0);
        if let Some(channel) = self.outbox.lock().channels.get_mut(&number) {
            for held in transaction.acks {
                channel.unacked.put_back(held.tag, held.unacked);
            }
        }
    }
}
