//! Consumers with manual acknowledgements, which behave in every way a consumer may.

use std::time::Duration;

use anyhow::Result;
use futures_lite::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};

use crate::ledger::{Delivered, Ledger};
use crate::message::{Id, QUEUES};
use crate::random::Random;

const PREFETCH: u16 = 100;
/// Most messages that are held before something is done about them.
const HELD_MAX: u64 = 60;
/// How long nothing comes before what is held is acknowledged.
const LULL: Duration = Duration::from_millis(100);

/// One consumer of one queue.
pub struct Taker<'a> {
    pub connection: &'a Connection,
    pub queue: usize,
    pub ledger: &'a Ledger,
    /// Whether it is the queue's only consumer.
    pub is_alone: bool,
    /// Whether it only takes and acknowledges, as fast as it can.
    pub is_tame: bool,
}

/// A delivery that is not settled yet.
struct Held {
    tag: u64,
    id: Option<Id>,
}

impl Taker<'_> {
    /// Consumes until told to stop, or until the connection ends. Then the broker has seen every acknowledgement.
    pub async fn run(&self, random: &mut Random, is_over: impl Fn() -> bool) -> Result<()> {
        while !is_over() {
            self.run_channel(random, &is_over).await?;
        }
        Ok(())
    }

    /// Consumes on one channel, which some consumers close again and again.
    async fn run_channel(&self, random: &mut Random, is_over: &impl Fn() -> bool) -> Result<()> {
        let channel = self.connection.create_channel().await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let mut consumer = self.consume(&channel).await?;
        loop {
            let held = self.take(&mut consumer, 1 + random.below(HELD_MAX)).await?;
            if is_over() {
                self.acknowledge(&channel, &held).await?;
                break;
            }
            if !self.is_tame && random.percent(3) {
                // What is held goes back with the channel.
                break;
            }
            self.settle(&channel, held, random).await?;
        }
        // The answer comes after all that was said on the channel was done.
        channel.close(200, "OK".into()).await?;
        Ok(())
    }

    async fn consume(&self, channel: &Channel) -> Result<Consumer> {
        let queue = QUEUES.get(self.queue).copied().unwrap_or_default();
        let options = BasicConsumeOptions::default();
        Ok(channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?)
    }

    /// Takes so many messages, or fewer if there is a lull.
    async fn take(&self, consumer: &mut Consumer, count: u64) -> Result<Vec<Held>> {
        let mut held = Vec::new();
        while (held.len() as u64) < count {
            match tokio::time::timeout(LULL, consumer.next()).await {
                Err(_) => break,
                Ok(Some(delivery)) => held.push(self.note(&delivery?)),
                Ok(None) => anyhow::bail!("the consumer has ended"),
            }
        }
        Ok(held)
    }

    fn note(&self, delivery: &Delivery) -> Held {
        let delivered = Delivered {
            queue: self.queue,
            redelivered: delivery.redelivered,
            address: (delivery.exchange.as_str(), delivery.routing_key.as_str()),
            properties: &delivery.properties,
            body: &delivery.data,
            is_ordered: self.is_alone,
        };
        Held { tag: delivery.delivery_tag, id: self.ledger.deliver(&delivered) }
    }

    /// Does something about all that is held.
    async fn settle(&self, channel: &Channel, mut held: Vec<Held>, random: &mut Random) -> Result<()> {
        match if self.is_tame { 100 } else { random.below(100) } {
            0..6 => {
                let options = BasicNackOptions { multiple: true, requeue: true };
                if let Some(last) = held.last() {
                    channel.basic_nack(last.tag, options).await?;
                }
            }
            6..10 => {
                for Held { tag, id } in held {
                    if let Some(id) = id {
                        self.ledger.settle(id, self.queue);
                    }
                    channel.basic_reject(tag, BasicRejectOptions { requeue: false }).await?;
                }
            }
            10..40 => {
                // One by one and in any order.
                held.sort_by_cached_key(|_| random.next());
                for one in held {
                    self.acknowledge(channel, &[one]).await?;
                }
            }
            _ => self.acknowledge(channel, &held).await?,
        }
        Ok(())
    }

    /// Acknowledges everything up to the last of these.
    async fn acknowledge(&self, channel: &Channel, held: &[Held]) -> Result<()> {
        let Some(last) = held.last() else { return Ok(()) };
        for id in held.iter().filter_map(|held| held.id) {
            self.ledger.settle(id, self.queue);
        }
        channel.basic_ack(last.tag, BasicAckOptions { multiple: held.len() > 1 }).await?;
        Ok(())
    }
}
