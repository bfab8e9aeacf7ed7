//! Opening, closing and numbering of channels, and what every channel answers.

use leveret_tests::prelude::*;

#[test]
fn a_method_on_an_unopened_channel_ends_the_connection() {
    let channel = open().unopened_channel(3);
    channel.kills(methods::queue_declare("", &[Exclusive], &none()), 504, "expected 'channel.open'");
}

#[test]
fn a_second_open_ends_the_connection() {
    open_channel().kills(methods::channel_open(), 504, "second 'channel.open' seen");
}

#[test]
fn a_closed_number_can_be_opened_again() {
    let channel = open_channel();
    for _ in 0..3 {
        channel.close();
        channel.open();
        channel.sync();
    }
}

#[test]
fn any_number_up_to_65535_may_be_used() {
    let connection = open();
    for number in [65_535, 2_048, 1] {
        connection.channel(number).sync();
    }
}

#[test]
fn open_channels_are_counted_whatever_their_numbers() {
    let broker = Broker::shared();
    let connection = Connection::open_with(broker, &Login { channel_max: 2, ..Login::new(broker) });
    connection.channel(700);
    let second = connection.channel(9);
    second.close();
    connection.channel(10);
    let text = "number of channels opened (2) has reached the negotiated channel_max (2)";
    connection.send(1, &methods::channel_open());
    connection.expect_close(530, text, ids::NO_METHOD);
}

#[test]
fn as_many_channels_as_proposed_can_be_open() {
    let connection = open();
    for number in 1..=2047 {
        connection.send(number, &methods::channel_open());
    }
    for number in 1..=2047 {
        let opened = connection.next_on(number, PATIENCE);
        assert!(matches!(&opened, Event::Frame(frame) if frame.id() == Some(ids::CHANNEL_OPEN_OK)), "{number}");
    }
    connection.send(2048, &methods::channel_open());
    let text = "number of channels opened (2047) has reached the negotiated channel_max (2047)";
    connection.expect_close(530, text, ids::NO_METHOD);
}

#[test]
fn flow_is_answered_when_it_asks_for_more() {
    let mut flow_ok = open_channel().rpc(methods::flow(true));
    assert_eq!(flow_ok.octet(), 1);
    flow_ok.finish();
}

#[test]
fn pausing_by_flow_is_not_implemented() {
    open_channel().kills(methods::flow(false), 540, "active=false");
}

#[test]
fn an_access_request_gets_a_ticket() {
    let mut request_ok = open_channel().rpc(methods::access_request("/data"));
    assert_eq!(request_ok.short(), 1);
    request_ok.finish();
}

#[test]
fn any_ticket_is_accepted() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    let declare = Method::new(ids::QUEUE_DECLARE).short(4_711).shortstr(&queue).octet(1).table(&none());
    assert_eq!(channel.rpc(declare).shortstr(), queue);
}

#[test]
fn requests_may_be_sent_before_the_replies_are_read() {
    let channel = open_channel();
    for _ in 0..3 {
        channel.send(methods::queue_declare("", &[Exclusive], &none()));
        channel.send(methods::qos(0, 1, &[]));
        channel.send(methods::flow(true));
    }
    for _ in 0..3 {
        channel.expect(ids::QUEUE_DECLARE_OK);
        channel.expect(ids::BASIC_QOS_OK);
        channel.expect(ids::CHANNEL_FLOW_OK);
    }
}

#[test]
fn channels_do_not_wait_for_each_other() {
    let connection = open();
    let (first, second) = (connection.channel(1), connection.channel(2));
    let queue = first.exclusive_queue();
    // An unfinished message holds up its own channel only.
    first.send(methods::publish_alone("", &queue, &[]));
    second.sync();
    assert_eq!(second.counts(&queue), (0, 0));
}

#[test]
fn delivery_tags_count_up_through_get_and_consume() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    for text in ["a", "b", "c", "d"] {
        channel.publish("", &queue, text);
    }
    assert_eq!(channel.get(&queue).unwrap().delivery_tag, 1);
    assert_eq!(channel.get_with(&queue, &[NoAck]).unwrap().delivery_tag, 2);
    channel.consume_with(&queue, "", &[NoAck], &none());
    assert_eq!((channel.delivery().delivery_tag, channel.delivery().delivery_tag), (3, 4));
    channel.publish("", &queue, "e");
    assert_eq!(channel.delivery().delivery_tag, 5);
}

#[test]
fn every_channel_counts_its_own_delivery_tags() {
    let connection = open();
    let (first, second) = (connection.channel(1), connection.channel(2));
    let queue = first.exclusive_queue();
    first.publish("", &queue, "a");
    first.publish("", &queue, "b");
    assert_eq!(first.get(&queue).unwrap().delivery_tag, 1);
    assert_eq!(second.get(&queue).unwrap().delivery_tag, 1);
    second.close();
    second.open();
    assert_eq!(second.get(&queue).unwrap().delivery_tag, 1, "a new channel starts again");
}

#[test]
fn the_last_declared_queue_may_be_left_out() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.rpc(methods::queue_bind("", "amq.direct", &queue, &[], &none()));
    channel.publish("amq.direct", &queue, "by the binding");
    assert_eq!(channel.get_with("", &[NoAck]).unwrap().text(), "by the binding");
    channel.publish("", &queue, "purged");
    assert_eq!(channel.rpc(methods::queue_purge("", &[])).long(), 1);
    let tag = channel.consume("");
    channel.publish("", &queue, "consumed");
    assert_eq!(channel.delivery().consumer_tag, tag);
    channel.rpc(methods::queue_unbind("", "amq.direct", &queue, &none()));
    channel.rpc(methods::queue_delete("", &[]));
    assert!(!channel.has_queue(&queue));
}

#[test]
fn an_empty_queue_and_key_in_a_binding_mean_the_name_of_the_queue() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.bind("", "amq.direct", "");
    channel.publish("amq.direct", &queue, "found");
    assert_eq!(channel.drain(&queue), ["found"]);
    channel.rpc(methods::queue_unbind("", "amq.direct", "", &none()));
    channel.publish("amq.direct", &queue, "lost");
    assert_eq!(channel.drain(&queue), texts(&[]));
}

#[test]
fn with_a_queue_named_an_empty_key_stays_empty() {
    let channel = open_channel();
    let queue = channel.exclusive_queue();
    channel.bind(&queue, "amq.direct", "");
    channel.publish("amq.direct", &queue, "lost");
    channel.publish("amq.direct", "", "found");
    assert_eq!(channel.drain(&queue), ["found"]);
}

#[test]
fn a_passive_declare_sets_the_last_declared_queue() {
    let connection = open();
    let queue = connection.channel(1).exclusive_queue();
    let channel = connection.channel(2);
    channel.counts(&queue);
    channel.publish("", &queue, "found");
    assert_eq!(channel.get_with("", &[NoAck]).unwrap().text(), "found");
}

#[test]
fn no_queue_declared_means_none_is_found() {
    let channel = open_channel();
    let text = "no previously declared queue";
    channel.refuses(methods::get("", &[]), 404, text);
    channel.refuses(methods::consume("", "", &[], &none()), 404, text);
    channel.refuses(methods::queue_purge("", &[]), 404, text);
    channel.refuses(methods::queue_delete("", &[]), 404, text);
    channel.refuses(methods::queue_bind("", "amq.direct", "", &[], &none()), 404, text);
    channel.refuses(methods::queue_bind("", "amq.direct", "key", &[], &none()), 404, text);
    channel.refuses(methods::queue_unbind("", "amq.direct", "key", &none()), 404, text);
}

#[test]
fn a_new_channel_forgets_the_last_declared_queue() {
    let channel = open_channel();
    channel.exclusive_queue();
    channel.close();
    channel.open();
    channel.refuses(methods::get("", &[]), 404, "no previously declared queue");
}
