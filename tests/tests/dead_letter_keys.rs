//! Routing keys of dead letters that were published with copies.

use leveret_tests::prelude::*;

/// A queue that dead-letters to a new direct exchange, and that exchange.
fn dead_lettering(channel: &Channel, names: &mut Names, own_key: Option<&str>) -> (String, String) {
    let exchange = names.exchange("dlx");
    channel.exchange(&exchange, "direct", &[], &none());
    let mut arguments = table([("x-dead-letter-exchange", exchange.as_str().into())]);
    arguments.0.extend(own_key.map(|key| ("x-dead-letter-routing-key".to_owned(), key.into())));
    (channel.declare("", &[Exclusive], &arguments).queue, exchange)
}

fn reject(channel: &Channel, queue: &str) {
    let message = channel.get(queue).expect("a message to reject");
    channel.send(methods::reject(message.delivery_tag, &[]));
}

fn await_message(channel: &Channel, queue: &str) -> Delivery {
    let mut message = None;
    wait_until("the letter arrives", || {
        message = channel.get_with(queue, &[NoAck]);
        message.is_some()
    });
    message.expect("a letter")
}

fn copies() -> Props {
    Props::with_headers(table([("CC", ["copy"].into()), ("BCC", ["blind"].into())]))
}

#[test]
fn a_key_of_the_queue_leaves_the_copies_out() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (queue, exchange) = dead_lettering(&channel, &mut names, Some("own"));
    let [own, copy, blind] = ["own", "copy", "blind"].map(|key| {
        let queue = channel.exclusive_queue();
        channel.bind(&queue, &exchange, key);
        queue
    });
    channel.publish_with("", &queue, &[], &copies(), "x");
    reject(&channel, &queue);
    let headers = await_message(&channel, &own).props.headers.unwrap();
    // 3.10 takes the header out, as it would no longer be true.
    assert_eq!(headers.get("CC"), (!peer()).then(|| ["copy"].into()).as_ref());
    assert_eq!((channel.counts(&copy).0, channel.counts(&blind).0), (0, 0));
}

#[test]
fn nothing_tells_of_blind_copies() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (queue, exchange) = dead_lettering(&channel, &mut names, None);
    let [own, copy] = [queue.as_str(), "copy"].map(|key| {
        let queue = channel.exclusive_queue();
        channel.bind(&queue, &exchange, key);
        queue
    });
    channel.publish_with("", &queue, &[], &copies(), "x");
    reject(&channel, &queue);
    for queue_of_letters in [&own, &copy] {
        let headers = await_message(&channel, queue_of_letters).props.headers.unwrap();
        assert_eq!(headers.get("BCC"), None);
        let Some(Value::Array(deaths)) = headers.get("x-death") else { panic!("no deaths: {headers:?}") };
        let [Value::Table(death)] = &deaths[..] else { panic!("not one death: {deaths:?}") };
        assert_eq!(death.get("routing-keys"), Some(&[queue.as_str(), "copy"].into()));
    }
}

#[test]
fn letters_go_to_blind_copies_too() {
    let (channel, mut names) = (open_channel(), Names::new());
    let (queue, exchange) = dead_lettering(&channel, &mut names, None);
    let blind = channel.exclusive_queue();
    channel.bind(&blind, &exchange, "blind");
    channel.publish_with("", &queue, &[], &copies(), "x");
    reject(&channel, &queue);
    let headers = await_message(&channel, &blind).props.headers.unwrap();
    assert_eq!(headers.get("BCC"), None);
}
