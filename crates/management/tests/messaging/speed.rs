//! A page of a long list costs what a page costs.

use std::time::{Duration, Instant};

use leveret_server::engine::names::ConnectionId;
use leveret_server::engine::vhost::QueueDeclare;

use crate::common::Broker;

const QUEUES: usize = 10_000;

/// How often it is tried: what else the machine does only makes things longer.
const TRIES: usize = 20;

async fn time(broker: &Broker, path: &str) -> Duration {
    let start = Instant::now();
    broker.get(path).await;
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_ten_thousand_queues_costs_a_part_of_all() {
    let broker = Broker::start().await;
    let vhost = broker.server.broker().vhost("/").unwrap();
    let user = broker.server.broker().user("guest").unwrap();
    let arguments = leveret_codec::table::FieldTable::default();
    for number in 0..QUEUES {
        let name = format!("queue-{number:05}");
        let (durable, exclusive, auto_delete, random) = (false, false, false, [0; 16]);
        let declare = QueueDeclare { name: &name, durable, exclusive, auto_delete, arguments: &arguments, random };
        vhost.declare_queue(&declare, &user, ConnectionId(0)).unwrap();
    }
    let page = "/api/queues?page=3&page_size=100";
    let whole = time(&broker, "/api/queues").await.min(time(&broker, "/api/queues").await);
    for query in [
        "",
        "&sort=messages&sort_reverse=true",
        "&name=queue-0%5B1-5%5D&use_regex=true",
        "&sort=message_stats.publish_details.rate",
    ] {
        let (mut took, mut tries) = (whole, 0);
        while took * 3 >= whole && tries < TRIES {
            took = took.min(time(&broker, &format!("{page}{query}")).await);
            tries += 1;
        }
        println!("a page of {QUEUES} queues{query}: {took:?}; all: {whole:?}");
        assert!(took * 3 < whole, "{query}: {took:?} of {whole:?}");
    }
    broker.stop().await;
}
