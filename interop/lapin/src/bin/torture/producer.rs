//! Producers: with confirms, and with transactions.

use std::collections::VecDeque;

use anyhow::{Result, ensure};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Connection, PublisherConfirm};

use crate::ledger::Ledger;
use crate::message::{Id, Sent};
use crate::random::Random;

/// Most publishes that wait for their confirm.
const WINDOW_MAX: u64 = 200;
/// Most publishes of a transaction.
const TRANSACTION_MAX: u64 = 12;

/// Publishes with confirms until told to stop or the connection ends.
pub async fn publish_with_confirms(
    connection: &Connection,
    producer: usize,
    ledger: &Ledger,
    random: &mut Random,
    is_over: impl Fn() -> bool,
) -> Result<()> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut waiting = VecDeque::new();
    let outcome = fill_window(&channel, producer, ledger, random, &mut waiting, is_over).await;
    // What was confirmed before the end counts, also if nobody has looked at it yet.
    for (id, confirm) in waiting {
        take_confirm(ledger, id, confirm).await?;
    }
    outcome
}

async fn fill_window(
    channel: &Channel,
    producer: usize,
    ledger: &Ledger,
    random: &mut Random,
    waiting: &mut VecDeque<(Id, PublisherConfirm)>,
    is_over: impl Fn() -> bool,
) -> Result<()> {
    let mut window = 1;
    while !is_over() {
        if random.percent(2) {
            window = 1 + random.below(WINDOW_MAX);
        }
        while waiting.len() as u64 >= window {
            if let Some((id, confirm)) = waiting.pop_front() {
                take_confirm(ledger, id, confirm).await?;
            }
        }
        let sent = Sent::random(ledger.next_id(producer), random);
        waiting.push_back((sent.id, publish(channel, ledger, sent).await?));
    }
    Ok(())
}

async fn take_confirm(ledger: &Ledger, id: Id, confirm: PublisherConfirm) -> Result<()> {
    match confirm.await? {
        Confirmation::Ack(_) => ledger.confirm(id),
        other => ledger.fault(format!("{} was answered by {other:?}", id.text())),
    }
    Ok(())
}

async fn publish(channel: &Channel, ledger: &Ledger, sent: Sent) -> Result<PublisherConfirm> {
    ledger.publish(sent);
    let (exchange, key) = sent.route.address();
    let options = BasicPublishOptions::default();
    Ok(channel.basic_publish(exchange.into(), key.into(), options, sent.body(), sent.properties()).await?)
}

/// Publishes in transactions, some of which are rolled back, until told to stop or the connection ends.
pub async fn publish_in_transactions(
    connection: &Connection,
    producer: usize,
    ledger: &Ledger,
    random: &mut Random,
    is_over: impl Fn() -> bool,
) -> Result<()> {
    let channel = connection.create_channel().await?;
    channel.tx_select().await?;
    while !is_over() {
        let is_meant = random.percent(75);
        let mut ids = Vec::new();
        for _ in 0..=random.below(TRANSACTION_MAX) {
            let sent = Sent::random(ledger.next_id(producer), random);
            ids.push(sent.id);
            let confirm = publish(&channel, ledger, sent).await?;
            ensure!(matches!(confirm.await?, Confirmation::NotRequested), "a transaction has no confirms");
        }
        if is_meant {
            channel.tx_commit().await?;
            ids.iter().for_each(|id| ledger.confirm(*id));
        } else {
            ids.iter().for_each(|id| ledger.withdraw(*id));
            channel.tx_rollback().await?;
        }
    }
    Ok(())
}
