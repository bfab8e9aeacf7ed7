//! The exchange and the queues of a run, and who uses which.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use leveret_codec::method::{
    BasicConsume, BasicConsumeOk, BasicQos, BasicQosOk, ExchangeDeclare, ExchangeDeclareOk, ExchangeDelete,
    ExchangeDeleteOk, QueueBind, QueueBindOk, QueueDeclare, QueueDeclareOk, QueueDelete, QueueDeleteOk,
};
use leveret_codec::table::{FieldTable, FieldValue, TableRef};

use crate::args::BenchArgs;
use crate::argument::Argument;
use crate::client::Client;
use crate::exchange::ExchangeKind;

/// Header that the headers exchange routes by.
const HEADER_KEY: &[u8] = b"queue";

/// What a run declares.
pub struct Plan {
    kind: ExchangeKind,
    exchange: String,
    queues: Vec<String>,
    /// Queues whose consumers stop reading.
    stalled: Vec<String>,
    /// Bindings that never match.
    idle_bindings: u32,
    binding_key: Option<String>,
    durable: bool,
    auto_delete: bool,
    queue_arguments: Vec<u8>,
    stalled_arguments: Vec<u8>,
    exchange_arguments: Vec<u8>,
    consumer_arguments: Vec<u8>,
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
        let run = unique_name();
        let exchange = match args.exchange {
            ExchangeKind::Default => String::new(),
            _ => run.clone(),
        };
        let stalled_arguments = match args.stalled_queue_argument.as_slice() {
            [] => &args.queue_argument,
            given => given,
        };
        let durable = args.persistent || args.durable;
        Self {
            kind: args.exchange.clone(),
            exchange,
            queues: (0..args.queues).map(|index| format!("{run}-{index}")).collect(),
            stalled: (0..args.stalled_consumers).map(|index| format!("{run}-stalled-{index}")).collect(),
            idle_bindings: args.bindings.unwrap_or(0).saturating_sub(args.queues),
            binding_key: args.binding_key.clone(),
            durable,
            // A queue that only fills has no consumer to go with.
            auto_delete: !durable && args.consumers > 0,
            queue_arguments: Argument::encode(&args.queue_argument),
            stalled_arguments: Argument::encode(stalled_arguments),
            exchange_arguments: Argument::encode(&args.exchange_argument),
            consumer_arguments: Argument::encode(&args.consumer_argument),
        }
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
                arguments: TableRef::from_raw(&self.exchange_arguments),
            };
            control.call(exchange, ExchangeDeclareOk::NAME)?;
        }
        let queues = self.queues.iter().map(|queue| (queue, &self.queue_arguments));
        let stalled = self.stalled.iter().map(|queue| (queue, &self.stalled_arguments));
        let declares = queues.chain(stalled).map(|(queue, arguments)| QueueDeclare {
            queue,
            passive: false,
            durable: self.durable,
            exclusive: false,
            auto_delete: self.auto_delete,
            nowait: false,
            arguments: TableRef::from_raw(arguments),
        });
        control.call_all(declares, QueueDeclareOk::NAME, |_| ())?;
        self.bind(control)
    }

    /// Deletes what was declared.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn delete(&self, control: &mut Client) -> Result<()> {
        let queues = self.queues.iter().chain(&self.stalled);
        let deletes = queues.map(|queue| QueueDelete { queue, if_unused: false, if_empty: false, nowait: false });
        control.call_all(deletes, QueueDeleteOk::NAME, |_| ())?;
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
        self.consume_from(client, &self.share(index, args.consumers), args)
    }

    /// Makes `client` the consumer of stalled queue number `index`.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn consume_stalled(&self, client: &mut Client, index: u32, args: &BenchArgs) -> Result<()> {
        let queue: Vec<&str> = self.stalled.iter().skip(index as usize).take(1).map(String::as_str).collect();
        self.consume_from(client, &queue, args)
    }

    fn consume_from(&self, client: &mut Client, queues: &[&str], args: &BenchArgs) -> Result<()> {
        if args.prefetch > 0 {
            let qos = BasicQos { prefetch_size: 0, prefetch_count: args.prefetch, global: false };
            client.call(qos, BasicQosOk::NAME)?;
        }
        for queue in queues {
            let consume = BasicConsume {
                queue,
                consumer_tag: "",
                no_local: false,
                no_ack: args.ack_batch.is_none(),
                exclusive: false,
                nowait: false,
                arguments: TableRef::from_raw(&self.consumer_arguments),
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

    /// Binds every queue by its own key, and some by keys that nobody publishes with.
    fn bind(&self, control: &mut Client) -> Result<()> {
        if self.kind == ExchangeKind::Default {
            return Ok(());
        }
        let own = self.queues.iter().chain(&self.stalled).map(|queue| (queue, queue.clone()));
        let never = (0..self.idle_bindings).map(|index| format!("{}-never-{index}", self.exchange));
        let mut bindings = Vec::new();
        for (queue, name) in own.chain(self.queues.iter().cycle().zip(never)) {
            let (routing_key, arguments) = self.binding(&name);
            bindings.push((queue, routing_key, arguments));
        }
        let binds = bindings.iter().map(|(queue, routing_key, arguments)| QueueBind {
            queue,
            exchange: &self.exchange,
            routing_key,
            nowait: false,
            arguments: TableRef::from_raw(arguments),
        });
        control.call_all(binds, QueueBindOk::NAME, |_| ())
    }

    /// Key and arguments of a binding that takes what is published for the queue of this name.
    fn binding(&self, name: &str) -> (String, Vec<u8>) {
        let mut arguments = Vec::new();
        if self.kind == ExchangeKind::Headers {
            queue_header(name).encode(&mut arguments);
        }
        let own_key = match self.kind {
            ExchangeKind::Topic => format!("{name}.*"),
            ExchangeKind::Headers => String::new(),
            _ => name.to_owned(),
        };
        (self.binding_key.clone().unwrap_or(own_key), arguments)
    }

    /// Shares the queues out so that each has someone, and everyone has at least one.
    fn share(&self, index: u32, members: u32) -> Vec<&str> {
        let (index, members, queues) = (index as usize, members as usize, self.queues.len());
        let first = index % queues;
        let step = if members < queues { members } else { queues };
        self.queues.iter().skip(first).step_by(step).map(String::as_str).collect()
    }
}

/// A name that no other run uses, as the names of all that a run declares begin.
pub fn unique_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("leveret-bench-{}-{}", std::process::id(), now.as_micros())
}

/// The declaration of a queue that nothing goes to.
pub fn empty_queue<'a>(queue: &'a str, durable: bool, arguments: &'a [u8]) -> QueueDeclare<'a> {
    QueueDeclare {
        queue,
        passive: false,
        durable,
        exclusive: false,
        auto_delete: false,
        nowait: false,
        arguments: TableRef::from_raw(arguments),
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
        assert_eq!(plan.binding("q").0, "q.*");
        let (routes, plan) = route("headers");
        let value = FieldValue::LongStr(plan.queues[1].as_bytes().into());
        assert_eq!(routes[0].headers.as_ref().unwrap().get(HEADER_KEY), Some(&value));
        assert_eq!(route("x-modulus-hash --binding-key 3").1.binding("q").0, "3");
        assert_eq!((route("fanout").1.copies(), route("direct").1.copies()), (3, 1));
    }
}
