//! Expiry and dead letters across restarts: time goes on while the broker is down, and no dead letter is lost.

use std::collections::BTreeSet;

use leveret_tests::prelude::*;

/// Does something, ends the broker, starts another one on the same directory and looks at it.
fn across_a_restart(test: &str, before: impl Fn(&Channel), after: impl Fn(&Channel)) {
    if skip_without_home(test) {
        return;
    }
    for stop in [Stop::Term, Stop::Kill] {
        println!("{test}: {stop:?}");
        let home = Home::new();
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        before(&channel);
        seal(&channel);
        broker.end(stop);
        let broker = home.start();
        after(&Connection::open(&broker).channel(1));
    }
}

fn to_dead(ttl_ms: Option<i32>) -> Table {
    let mut arguments = table([("x-dead-letter-exchange", "".into()), ("x-dead-letter-routing-key", "dead".into())]);
    arguments.0.extend(ttl_ms.map(|ttl_ms| ("x-message-ttl".to_owned(), ttl_ms.into())));
    arguments
}

fn expiring(expiration_ms: u32) -> Props {
    Props { expiration: Some(expiration_ms.to_string()), ..Props::persistent() }
}

/// Reason and count of the last death.
fn last_death(delivery: &Delivery) -> (Value, Value) {
    let Some(Value::Array(entries)) = delivery.props.headers.as_ref().and_then(|headers| headers.get("x-death")) else {
        panic!("no x-death: {:?}", delivery.props)
    };
    let Some(Value::Table(entry)) = entries.first() else { panic!("no entry: {entries:?}") };
    let field = |name| entry.get(name).cloned().unwrap_or(Value::Void);
    (field("reason"), field("count"))
}

#[test]
fn messages_expire_after_a_restart_without_anybody_s_doing() {
    across_a_restart(
        "messages_expire_after_a_restart_without_anybody_s_doing",
        |channel| {
            channel.declare("dead", &[Durable], &none());
            channel.declare("by the queue", &[Durable], &to_dead(Some(2500)));
            channel.declare("by themselves", &[Durable], &to_dead(None));
            channel.publish_with("", "by the queue", &[], &Props::persistent(), "queue's");
            channel.publish_with("", "by themselves", &[], &expiring(2500), "own");
            channel.publish_with("", "by themselves", &[], &expiring(3_600_000), "later");
        },
        |channel| {
            wait_until("both die", || channel.counts("dead").0 == 2);
            let mut bodies = channel.drain("dead");
            bodies.sort();
            assert_eq!(bodies, ["own", "queue's"]);
            assert_eq!(channel.drain("by themselves"), ["later"]);
        },
    );
}

#[test]
fn what_a_message_tells_of_its_deaths_survives() {
    across_a_restart(
        "what_a_message_tells_of_its_deaths_survives",
        |channel| {
            channel.declare("dead", &[Durable], &to_dead(None));
            channel.publish_with("", "dead", &[], &Props::persistent(), "x");
            let delivery = channel.get("dead").unwrap();
            channel.send(methods::reject(delivery.delivery_tag, &[]));
            wait_until("it comes back", || channel.counts("dead").0 == 1);
        },
        |channel| {
            let delivery = channel.get("dead").unwrap();
            assert_eq!(last_death(&delivery), ("rejected".into(), Value::I64(1)));
            channel.send(methods::reject(delivery.delivery_tag, &[]));
            wait_until("it comes back", || channel.counts("dead").0 == 1);
            let delivery = channel.get_with("dead", &[NoAck]).unwrap();
            assert_eq!(last_death(&delivery), ("rejected".into(), Value::I64(2)), "the broker's own are counted on");
        },
    );
}

#[test]
fn an_unused_queue_begins_its_time_again() {
    across_a_restart(
        "an_unused_queue_begins_its_time_again",
        |channel| {
            channel.declare("unused", &[Durable], &table([("x-expires", 4000.into())]));
        },
        |channel| {
            let start = Instant::now();
            // A binding asks for the queue and renews nothing.
            let is_there = || {
                channel.send(methods::queue_bind("unused", "amq.direct", "key", &[], &none()));
                let is_there = channel.reply(&[ids::QUEUE_BIND_OK, ids::CHANNEL_CLOSE]).id == ids::QUEUE_BIND_OK;
                if !is_there {
                    channel.send(Method::new(ids::CHANNEL_CLOSE_OK));
                    channel.open();
                }
                is_there
            };
            assert!(is_there());
            while is_there() {
                assert!(start.elapsed() < PATIENCE);
                std::thread::sleep(Duration::from_millis(50));
            }
        },
    );
}

#[test]
fn no_dead_letter_is_lost_by_a_kill() {
    const MESSAGES: usize = 3000;
    if skip_without_home("no_dead_letter_is_lost_by_a_kill") {
        return;
    }
    for wait_ms in [5, 30, 60, 100, 200] {
        let home = Home::new();
        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        channel.declare("dead", &[Durable], &none());
        channel.declare("dying", &[Durable], &to_dead(Some(300)));
        channel.rpc(methods::confirm_select(&[])).finish();
        for number in 0..MESSAGES {
            channel.publish_with("", "dying", &[], &Props::persistent(), &number.to_string());
        }
        assert!(channel.confirms(1, MESSAGES as u64).into_values().all(|is_ack| is_ack));
        // Somewhere in the middle of their dying.
        wait_until("the first dies", || channel.counts("dead").0 > 0);
        std::thread::sleep(Duration::from_millis(wait_ms) / 4);
        broker.end(Stop::Kill);

        let broker = home.start();
        let channel = Connection::open(&broker).channel(1);
        wait_until("the rest dies", || channel.counts("dying").0 == 0);
        let mut bodies = BTreeSet::new();
        wait_until("all are dead", || {
            bodies.extend(channel.drain("dead"));
            bodies.len() == MESSAGES
        });
    }
}

#[test]
fn quorum_queues_keep_what_is_not_persistent_and_count_on() {
    across_a_restart(
        "quorum_queues_keep_what_is_not_persistent_and_count_on",
        |channel| {
            channel.declare("quorum", &[Durable], &table([("x-queue-type", "quorum".into())]));
            channel.rpc(methods::confirm_select(&[])).finish();
            ["a", "b"].iter().for_each(|text| channel.publish("", "quorum", text));
            assert!(channel.confirms(1, 2).into_values().all(|is_ack| is_ack));
            for _ in 0..3 {
                let delivery = channel.get("quorum").unwrap();
                channel.send(methods::reject(delivery.delivery_tag, &[Requeue]));
            }
        },
        |channel| {
            let count = |delivery: &Delivery| delivery.props.headers.as_ref()?.get("x-delivery-count").cloned();
            let first = channel.get("quorum").unwrap();
            assert_eq!((first.text().as_str(), count(&first)), ("a", Some(Value::I64(3))));
            assert_eq!(first.props.delivery_mode, None);
            let second = channel.get("quorum").unwrap();
            assert_eq!((second.text().as_str(), count(&second)), ("b", None));
        },
    );
}

#[test]
fn a_dead_letter_without_a_way_survives() {
    across_a_restart(
        "a_dead_letter_without_a_way_survives",
        |channel| {
            let sure = table([
                ("x-queue-type", "quorum".into()),
                ("x-dead-letter-exchange", "later".into()),
                ("x-dead-letter-strategy", "at-least-once".into()),
                ("x-overflow", "reject-publish".into()),
                ("x-message-ttl", 100.into()),
            ]);
            channel.declare("sure", &[Durable], &sure);
            (0..5).for_each(|number| channel.publish("", "sure", &number.to_string()));
            wait_until("they die", || channel.counts("sure").0 == 0);
        },
        |channel| {
            channel.exchange("later", "fanout", &[], &none());
            channel.declare("dead", &[], &none());
            channel.bind("dead", "later", "");
            wait_until("all arrive", || channel.counts("dead").0 == 5);
            assert_eq!(channel.drain("dead"), ["0", "1", "2", "3", "4"]);
        },
    );
}
