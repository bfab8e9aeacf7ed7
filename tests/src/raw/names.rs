//! Entity names that no other test uses, and the clean-up of what was made under them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use super::connection::Connection;
use super::methods::{exchange_delete, queue_delete};
use crate::broker::Broker;

/// Gives names; when it is dropped, the queues and exchanges of those names are deleted.
#[derive(Debug)]
pub struct Names {
    broker: &'static Broker,
    queues: Vec<String>,
    exchanges: Vec<String>,
}

impl Names {
    /// No names yet, for entities of the shared broker.
    pub fn new() -> Names {
        Names { broker: Broker::shared(), queues: Vec::new(), exchanges: Vec::new() }
    }

    /// A name for a queue.
    pub fn queue(&mut self, hint: &str) -> String {
        let name = unique(hint);
        self.queues.push(name.clone());
        name
    }

    /// A name for an exchange.
    pub fn exchange(&mut self, hint: &str) -> String {
        let name = unique(hint);
        self.exchanges.push(name.clone());
        name
    }
}

impl Default for Names {
    fn default() -> Names {
        Names::new()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let (broker, queues) = (self.broker, std::mem::take(&mut self.queues));
        let exchanges = std::mem::take(&mut self.exchanges);
        // In a thread of its own: a failing clean-up must not turn the failure of a test into an abort.
        let cleaning = thread::spawn(move || {
            let connection = Connection::open(broker);
            let channel = connection.channel(1);
            for queue in queues {
                channel.rpc(queue_delete(&queue, &[]));
            }
            for exchange in exchanges {
                channel.rpc(exchange_delete(&exchange, &[]));
            }
            connection.close();
        });
        if cleaning.join().is_err() {
            eprintln!("could not delete what the test made");
        }
    }
}

/// A name that is used once on this machine.
pub fn unique(hint: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("leveret-{hint}-{}-{count}-{}", std::process::id(), now.subsec_micros())
}
