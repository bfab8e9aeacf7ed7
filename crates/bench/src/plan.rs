//! The exchange and the queues of a run, and who uses which.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use leveret_codec::method::{
    BasicConsume, BasicConsumeOk, BasicQos, BasicQosOk, ExchangeDeclare, ExchangeDeclareOk, ExchangeDelete,
    ExchangeDeleteOk, QueueBind, QueueBindOk, QueueDeclare, QueueDeclareOk, QueueDelete, QueueDeleteOk,
};
use leveret_codec::table::{FieldTable, FieldValue, TableRef};

use crate::args::{BenchArgs, ExchangeKind};
use crate::client::Client;

/// Header that the headers exchange routes by.
const HEADER_KEY: &[u8] = b"queue";

/// What a run declares.
pub struct Plan {
    kind: ExchangeKind,
    exchange: String,
    queues: Vec<String>,
    durable: bool,
    auto_delete: bool,
}

/// How a message gets to one queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Exchange to publish to.
    pub exchange: String,
    /// Routing key to publish with.
    pub routing_key: String,
    /// Headers to publish with.
    pub headers: Option<FieldTable>,
}

impl Plan {
    /// Plans with names that no other run uses.
    pub fn new(args: &BenchArgs) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let run = format!("leveret-bench-{}-{}", std::process::id(), now.as_micros());
        let exchange = match args.exchange {
            ExchangeKind::Default => String::new(),
            _ => run.clone(),
        };
        let queues = (0..args.queues).map(|index| format!("{run}-{index}")).collect();
        // A queue that only fills has no consumer to go with.
        let auto_delete = !args.persistent && args.consumers > 0;
        Self { kind: args.exchange, exchange, queues, durable: args.persistent, auto_delete }
    }

    /// How many queues get each message.
    pub fn copies(&self) -> u64 {
        if self.kind == ExchangeKind::Fanout { self.queues.len() as u64 } else { 1 }
    }

    /// Declares and binds everything.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn declare(&self, control: &mut Client) -> Result<()> {
        if self.kind != ExchangeKind::Default {
            let exchange = ExchangeDeclare {
                exchange: &self.exchange,
                type_: &self.kind.to_string(),
                passive: false,
                durable: self.durable,
                auto_delete: false,
                internal: false,
                nowait: false,
                arguments: TableRef::EMPTY,
            };
            control.call(exchange, ExchangeDeclareOk::NAME)?;
        }
        for queue in &self.queues {
            let declare = QueueDeclare {
                queue,
                passive: false,
                durable: self.durable,
                exclusive: false,
                auto_delete: self.auto_delete,
                nowait: false,
                arguments: TableRef::EMPTY,
            };
            control.call(declare, QueueDeclareOk::NAME)?;
            self.bind(control, queue)?;
        }
        Ok(())
    }

    /// Deletes what was declared.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn delete(&self, control: &mut Client) -> Result<()> {
        for queue in &self.queues {
            let delete = QueueDelete { queue, if_unused: false, if_empty: false, nowait: false };
            control.call(delete, QueueDeleteOk::NAME)?;
        }
        if self.kind != ExchangeKind::Default {
            let delete = ExchangeDelete { exchange: &self.exchange, if_unused: false, nowait: false };
            control.call(delete, ExchangeDeleteOk::NAME)?;
        }
        Ok(())
    }

    /// Makes `client` consumer number `index` of `args.consumers`.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn consume(&self, client: &mut Client, index: u32, args: &BenchArgs) -> Result<()> {
        if args.prefetch > 0 {
            let qos = BasicQos { prefetch_size: 0, prefetch_count: args.prefetch, global: false };
            client.call(qos, BasicQosOk::NAME)?;
        }
        for queue in self.share(index, args.consumers) {
            let consume = BasicConsume {
                queue,
                consumer_tag: "",
                no_local: false,
                no_ack: args.ack_batch.is_none(),
                exclusive: false,
                nowait: false,
                arguments: TableRef::EMPTY,
            };
            client.call(consume, BasicConsumeOk::NAME)?;
        }
        Ok(())
    }

    /// The routes that producer number `index` of `producers` takes by turns.
    pub fn routes(&self, index: u32, producers: u32) -> Vec<Route> {
        self.share(index, producers).into_iter().map(|queue| self.route(queue)).collect()
    }

    fn route(&self, queue: &str) -> Route {
        let routing_key = match self.kind {
            ExchangeKind::Topic => format!("{queue}.message"),
            _ => queue.to_owned(),
        };
        let headers = (self.kind == ExchangeKind::Headers).then(|| queue_header(queue));
        Route { exchange: self.exchange.clone(), routing_key, headers }
    }

    fn bind(&self, control: &mut Client, queue: &str) -> Result<()> {
        let mut arguments = Vec::new();
        let routing_key = match self.kind {
            ExchangeKind::Default => return Ok(()),
            ExchangeKind::Topic => format!("{queue}.*"),
            ExchangeKind::Direct | ExchangeKind::Fanout => queue.to_owned(),
            ExchangeKind::Headers => {
                queue_header(queue).encode(&mut arguments);
                String::new()
            }
        };
        let bind = QueueBind {
            queue,
            exchange: &self.exchange,
            routing_key: &routing_key,
            nowait: false,
            arguments: TableRef::from_raw(&arguments),
        };
        control.call(bind, QueueBindOk::NAME)
    }

    /// Shares the queues out so that each has someone, and everyone has at least one.
    fn share(&self, index: u32, members: u32) -> Vec<&str> {
        let (index, members, queues) = (index as usize, members as usize, self.queues.len());
        let first = index % queues;
        let step = if members < queues { members } else { queues };
        self.queues.iter().skip(first).step_by(step).map(String::as_str).collect()
    }
}

fn queue_header(queue: &str) -> FieldTable {
    let mut headers = FieldTable::default();
    headers.push(HEADER_KEY, FieldValue::LongStr(queue.as_bytes().into()));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::tests::parse;

    #[test]
    fn every_queue_has_someone_and_everyone_has_a_queue() {
        for queues in 1..8u32 {
            for members in 1..8u32 {
                let plan = Plan::new(&parse(&format!("--queues {queues}")).unwrap());
                let mut served = vec![0; queues as usize];
                for index in 0..members {
                    let share = plan.share(index, members);
                    assert!(!share.is_empty());
                    for queue in share {
                        served[plan.queues.iter().position(|name| name == queue).unwrap()] += 1;
                    }
                }
                let (least, most) = (served.iter().min(), served.iter().max());
                assert!(*least.unwrap() >= 1 && most.unwrap() - least.unwrap() <= 1);
                assert!(queues < members || *most.unwrap() == 1);
            }
        }
    }

    #[test]
    fn routes_fit_the_kind_of_exchange() {
        let route = |kind: &str| {
            let plan = Plan::new(&parse(&format!("--exchange {kind} --queues 3")).unwrap());
            (plan.routes(1, 3), plan)
        };
        let (routes, plan) = route("default");
        assert_eq!((routes[0].exchange.as_str(), &routes[0].routing_key), ("", &plan.queues[1]));
        let (routes, plan) = route("topic");
        assert_eq!(routes[0].routing_key, format!("{}.message", plan.queues[1]));
        let (routes, plan) = route("headers");
        let value = FieldValue::LongStr(plan.queues[1].as_bytes().into());
        assert_eq!(routes[0].headers.as_ref().unwrap().get(HEADER_KEY), Some(&value));
        assert_eq!((route("fanout").1.copies(), route("direct").1.copies()), (3, 1));
    }
}
