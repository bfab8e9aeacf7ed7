//! Direct reply-to: replies without a queue, by an address that stands in for the pseudo queue's name.

use leveret_tests::prelude::*;

const REPLY_TO: &str = "amq.rabbitmq.reply-to";

fn requests_from(reply_to: &str) -> Props {
    Props { reply_to: Some(reply_to.to_owned()), ..Props::default() }
}

/// Asks on `client`, and gives the address that arrives with the request.
fn address(client: &Channel, server: &Channel) -> String {
    let queue = server.exclusive_queue();
    client.publish_with("", &queue, &[], &requests_from(REPLY_TO), "?");
    let mut request = None;
    wait_until("the request is there", || {
        request = server.get_with(&queue, &[NoAck]);
        request.is_some()
    });
    request.and_then(|request| request.props.reply_to).expect("the request has an address")
}

/// A client that awaits replies, a server, and the client's address.
fn client_and_server() -> (Channel, Channel, String) {
    let (client, server) = (open_channel(), open_channel());
    client.consume_with(REPLY_TO, "replies", &[NoAck], &none());
    let address = address(&client, &server);
    (client, server, address)
}

fn no_queue(name: &str) -> String {
    format!("no queue '{name}' in vhost '/'")
}

#[test]
fn a_reply_comes_to_its_channel() {
    let (client, server, address) = client_and_server();
    assert!(address.strip_prefix(REPLY_TO).unwrap().starts_with('.'), "{address}");
    // Delivery tags count on through other deliveries of the channel.
    let queue = client.exclusive_queue();
    client.consume_with(&queue, "other", &[], &none());
    client.publish("", &queue, "x");
    assert_eq!(client.delivery().delivery_tag, 1);
    server.publish_with("", &address, &[], &requests_from("whatever"), "!");
    let reply = client.delivery();
    assert_eq!((reply.consumer_tag.as_str(), reply.delivery_tag, reply.redelivered), ("replies", 2, false));
    assert_eq!((reply.exchange.as_str(), &reply.routing_key), ("", &address));
    assert_eq!((reply.text().as_str(), reply.props), ("!", requests_from("whatever")));
}

#[test]
fn only_the_name_of_the_pseudo_queue_is_replaced() {
    let (client, server, _) = client_and_server();
    let queue = server.exclusive_queue();
    for name in ["amq.rabbitmq.reply-to.mine", "somewhere", ""] {
        client.publish_with("", &queue, &[], &requests_from(name), "?");
        client.sync();
        assert_eq!(server.get_with(&queue, &[NoAck]).unwrap().props, requests_from(name));
    }
}

#[test]
fn requests_go_out_on_the_channel_that_awaits_the_reply() {
    let connection = open();
    let (one, other) = (connection.channel(1), connection.channel(2));
    one.consume_with(REPLY_TO, "", &[NoAck], &none());
    let request = methods::publish("", "leveret-missing", &[], &requests_from(REPLY_TO), b"?");
    other.refuses(request, 406, "fast reply consumer does not exist");
    one.rpc(methods::confirm_select(&[]));
    one.publish_with("", "leveret-missing", &[], &requests_from(REPLY_TO), "?");
    one.confirms(1, 1);
}

#[test]
fn replies_come_whatever_the_prefetch() {
    let client = open_channel();
    let server = open_channel();
    let queue = client.exclusive_queue();
    client.rpc(methods::qos(0, 1, &[Global]));
    client.rpc(methods::qos(0, 1, &[]));
    client.consume(&queue);
    client.consume_with(REPLY_TO, "replies", &[NoAck], &none());
    let address = address(&client, &server);
    client.publish("", &queue, "holds the prefetch");
    client.delivery();
    for number in 0..5 {
        server.publish("", &address, &number.to_string());
    }
    assert_eq!(client.texts(5), texts(&["0", "1", "2", "3", "4"]));
}

#[test]
fn an_address_can_be_declared_while_its_client_is_there() {
    let (client, server, address) = client_and_server();
    for flags in [&[Passive][..], &[]] {
        let declared = server.declare(&address, flags, &none());
        assert_eq!((declared.queue.as_str(), declared.message_count, declared.consumer_count), (&*address, 0, 1));
    }
    client.rpc(methods::cancel("replies", &[]));
    for flags in [&[Passive][..], &[]] {
        server.refuses(methods::queue_declare(&address, flags, &none()), 404, &no_queue(&address));
    }
}

#[test]
fn the_pseudo_queue_is_always_there() {
    let channel = open_channel();
    for flags in [&[Passive][..], &[]] {
        let declared = channel.declare(REPLY_TO, flags, &none());
        assert_eq!((declared.queue.as_str(), declared.message_count, declared.consumer_count), (REPLY_TO, 0, 1));
    }
}

#[test]
fn an_address_is_gone_with_its_channel_and_its_connection() {
    let (client, server, address) = client_and_server();
    client.close();
    server.refuses(methods::queue_declare(&address, &[Passive], &none()), 404, &no_queue(&address));
    let (client, server, address) = client_and_server();
    client.connection().close();
    server.refuses(methods::queue_declare(&address, &[Passive], &none()), 404, &no_queue(&address));
    // A late reply is no error, and goes nowhere.
    server.publish("", &address, "!");
    server.sync();
}

#[test]
fn an_address_that_was_tampered_with_reaches_nobody() {
    let (client, server, address) = client_and_server();
    let mut forged = vec![address.to_uppercase()];
    // Before 4.2 an address told where its client is, and RabbitMQ ends with 541 when it cannot make sense of that.
    let first = if peer() { address.len() - 5 } else { REPLY_TO.len() + 1 };
    for place in first..address.len() {
        let mut octets = address.clone().into_bytes();
        octets[place] = if octets[place] == b'a' { b'b' } else { b'a' };
        forged.push(String::from_utf8(octets).unwrap());
    }
    if !peer() {
        forged.extend([format!("{address}x"), format!("{address}."), format!("{REPLY_TO}.")]);
        forged.extend((first..address.len()).map(|place| address[..place].to_owned()));
    }
    for name in forged.iter().map(String::as_str).chain([REPLY_TO]) {
        server.publish("", name, "forged");
    }
    server.sync();
    client.expect_silence();
    server.publish("", &address, "real");
    assert_eq!(client.delivery().text(), "real");
    for name in forged.iter().filter(|name| name.starts_with(REPLY_TO)).take(8) {
        server.refuses(methods::queue_declare(name, &[Passive], &none()), 404, &no_queue(name));
    }
}

#[test]
fn every_consumer_has_an_address_of_its_own() {
    let (client, server, first) = client_and_server();
    client.refuses(methods::consume(REPLY_TO, "", &[NoAck], &none()), 406, "reply consumer already set");
    client.consume_with(REPLY_TO, "again", &[NoAck], &none());
    let second = address(&client, &server);
    assert_ne!(first, second);
    server.publish("", &first, "late");
    server.publish("", &second, "in time");
    let reply = client.delivery();
    assert_eq!((reply.consumer_tag.as_str(), reply.text().as_str()), ("again", "in time"));
}

#[test]
fn replies_are_not_acknowledged() {
    let channel = open_channel();
    channel.refuses(methods::consume(REPLY_TO, "", &[], &none()), 406, "reply consumer cannot acknowledge");
}

#[test]
fn nobody_else_gets_at_the_replies() {
    if peer() {
        return println!("skipped: RabbitMQ has no queue there of which anything could be asked");
    }
    let (client, server, address) = client_and_server();
    for name in [&*address, REPLY_TO] {
        server.refuses(methods::get(name, &[NoAck]), 404, &no_queue(name));
        server.refuses(methods::queue_purge(name, &[]), 404, &no_queue(name));
        server.refuses(methods::queue_delete(name, &[]), 404, &no_queue(name));
    }
    server.refuses(methods::consume(&address, "", &[NoAck], &none()), 404, &no_queue(&address));
    server.publish("", &address, "!");
    assert_eq!(client.delivery().text(), "!");
}

#[test]
fn addresses_cannot_be_bound() {
    if peer() {
        return println!("skipped: before RabbitMQ 4.3 such a binding was accepted, and did nothing");
    }
    let (_client, server, address) = client_and_server();
    let text = "cannot bind or unbind to a volatile (direct reply-to) queue";
    for name in [&*address, REPLY_TO] {
        server.refuses(methods::queue_bind(name, "amq.direct", "key", &[], &none()), 403, text);
        server.refuses(methods::queue_unbind(name, "amq.direct", "key", &none()), 403, text);
    }
}

#[test]
fn a_reply_is_never_returned() {
    if peer() {
        return println!("skipped: before RabbitMQ 4.2 a mandatory reply came back");
    }
    let (client, server, address) = client_and_server();
    server.rpc(methods::confirm_select(&[]));
    server.publish_with("", &address, &[Mandatory], &Props::default(), "here");
    server.confirms(1, 1);
    assert_eq!(client.delivery().text(), "here");
    client.connection().close();
    server.publish_with("", &address, &[Mandatory], &Props::default(), "gone");
    server.publish_with("", &address, &[Mandatory, Immediate], &Props::default(), "gone");
    server.confirms(2, 3);
}
